"""Boxes on their way from a device's embedding to the policies that ask where things are."""

from types import SimpleNamespace

import numpy as np
import pytest
from moteye.agent import Agent
from moteye.config import load_settings
from moteye.core.boxes import Box
from moteye.core.compile import CompiledSet
from moteye.core.engine import Engine, Observation
from moteye.core.language import parse_policy
from moteye.history import Replay
from moteye.judge import Item, Judge
from moteye.ledger import Ledger
from moteye.store import Store
from moteye.text.space import load_space
from moteye_protocol import models
from moteye_protocol.boxes import WireBox, pack_boxes, unpack_boxes

SET, EARLIER = b"set now!", b"set then"


@pytest.fixture
def reception(tmp_path):
    """That of an agent that looks for a cat and a dog, and whose devices may use an earlier set."""
    (tmp_path / "moteye.yaml").write_text("broker: mqtt://127.0.0.1:1\n")
    agent = Agent(load_settings(tmp_path / "moteye.yaml"))
    forms = {SET: ("a cat", "a dog"), EARLIER: ("a bird", "a dog", "a cat")}

    def form(name):
        names = forms.get(name)
        return names and SimpleNamespace(prototypes=SimpleNamespace(names=names))

    agent.in_force.fleet = SimpleNamespace(form=form)
    built = SimpleNamespace(prototypes=SimpleNamespace(names=forms[SET]))
    agent.judge.compiled = CompiledSet((), built, scorer=None, thresholds={})
    return agent.reception


def embedding(boxes, name=SET):
    return models.Embedding(
        s=1, n=1, t=None, up=9, frame=1, at=9, encoder=b"encoder!", set=name,
        e=np.full(256, 3, np.int8).tobytes(), why="change", sim=0,
        boxes=None if boxes is None else pack_boxes(boxes),
    )  # fmt: skip


def test_rows_are_the_policies_columns(reception):
    told = [WireBox(1, 700, 0, 10, 400, 4096), WireBox(0, -3, 5, 5, 6, 6)]
    assert reception._boxes(embedding(told)) == (
        Box(1, 700, 0, 10, 400, 4096),
        Box(0, -3, 5, 5, 6, 6),
    )
    assert reception._boxes(embedding([])) == ()


def test_rows_of_an_earlier_set_go_by_their_names(reception):
    told = [WireBox(0, 900, 0, 0, 9, 9), WireBox(2, 800, 1, 1, 9, 9), WireBox(7, 1, 0, 0, 1, 1)]
    assert reception._boxes(embedding(told, EARLIER)) == (Box(0, 800, 1, 1, 9, 9),)


@pytest.mark.parametrize(("boxes", "name"), [(None, SET), ([], b"unknown!"), ([], None)])
def test_nothing_told_is_not_nothing_there(reception, boxes, name):
    assert reception._boxes(embedding(boxes, name)) is None


@pytest.mark.parametrize(
    "data",
    [
        b"12 bytes less",
        pack_boxes([WireBox(0, 1, 9, 0, 8, 8)]),
        pack_boxes([WireBox(0, 1, 0, 0, 8, 4097)]),
        pack_boxes([WireBox(0, 1, 0, 0, 8, 8)] * 17),
    ],
)
def test_boxes_that_are_none_are_refused(data):
    with pytest.raises(ValueError, match="boxes"):
        embedding(None).model_validate({**embedding(None).model_dump(), "boxes": data})


def test_boxes_travel_as_they_are():
    boxes = [WireBox(65535, -32768, 0, 0, 4096, 4096), WireBox(0, 32767, 1, 2, 3, 4)]
    assert unpack_boxes(pack_boxes(boxes)) == boxes


async def test_a_replay_sees_the_boxes_that_were_told(tmp_path, store_url):
    space = load_space()
    text = "see: a cat\nin: {polygon: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}\ncooldown: 0s\n"
    policies = [
        parse_policy(text + "then: [log]\n", "left.yaml", "left"),
        parse_policy("see: a boat\ncount: '>= 2'\nthen: [log]\n", "two.yaml", "two"),
    ]
    compiled = space.compile(policies, number=1, dim=64)
    names = compiled.built.prototypes.names
    engine = Engine()
    engine.replace(compiled.policies)
    ledger = Ledger(store_url, engine, record_days=30, record_bytes=10**8)
    await ledger.open()
    judge = Judge(engine, ledger, lambda rows: None)
    judge.compiled = compiled
    cat, boat = names.index("a cat"), names.index("a boat")
    left, right = Box(cat, 2000, 100, 100, 900, 3000), Box(cat, 2000, 3000, 100, 3900, 3000)
    boats = (Box(boat, 2000, 0, 0, 500, 500), Box(boat, 2000, 900, 0, 1500, 500))
    frames = [None, (), (right,), (right,), (left, *boats), (left, *boats), (), (), (left,), None]
    vector = space.background.embeddings[0].tobytes()
    for number, boxes in enumerate(frames):
        message = embedding(None).model_copy(update={"encoder": space.encoder_hash, "e": vector})
        seen = Observation("cam", 1, number, number, 10**12 + 1000 * number, False, boxes, vector)
        await judge.judge([Item(seen, message, lambda: None)])
    await ledger.close()
    decided = Store(store_url).decisions()
    live = [decision.json() for decision in decided]
    assert [decision.policy for decision in decided if decision.fired] == ["left", "two"]
    replay = Replay(compiled, space.encoder_hash)
    assert [one.json() for one in replay.feed(Store(store_url).events())] == live
    # Other policies, whose phrases stand in other columns, see the same boxes.
    more = [parse_policy("see: a bird\nthen: [log]\n", "bird.yaml", "bird"), *policies]
    edited = Replay(space.compile(more, number=1, dim=64), space.encoder_hash)
    fired = [one.policy for one in edited.feed(Store(store_url).events()) if one.fired]
    assert fired == ["left", "two"]

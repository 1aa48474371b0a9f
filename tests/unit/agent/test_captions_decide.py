"""Captions from the inbox to decisions, actions and the store; on SQLite and PostgreSQL."""

import asyncio
import hashlib
import json

import pytest
from moteye import feedback
from moteye.core.engine import Engine, Observation
from moteye.core.hearing import Caption
from moteye.core.language import parse_policy
from moteye.core.lints import lint, silent
from moteye.core.report import kept_promises
from moteye.history import Replay, explain_at, recording_of
from moteye.judge import CaptionItem, Item, Judge
from moteye.ledger import Ledger
from moteye.listening import MOST_ASKED
from moteye.resources import model_dir
from moteye.store import RecordedEvent, Store
from moteye.text.captions import caption_ground
from moteye.text.space import load_space
from moteye_protocol import models

START_MS = 1_800_000_000_000
MOTORCYCLE, TOWER = "a motorcycle is parked on a street", "a large clock tower in the middle"
SAYS = "caption: a parked motorcycle\ncooldown: 0s\nthen:\n  - log: '{{ caption }}'\n"


@pytest.fixture(scope="module")
def space():
    return load_space()


@pytest.fixture(scope="module")
def compiled(space):
    policies = [
        parse_policy(SAYS, "p", "says"),
        parse_policy("see: a cat\ncooldown: 0s\nthen: [log]\n", "q", "cat"),
        parse_policy("changes: caption\nthen: [log]\n", "r", "other"),
    ]
    return space.compile(policies, number=1, dim=64)


class House:
    """Judge, engine and ledger; `rows` are the actions that came of it."""

    def __init__(self, space, compiled, url):
        self.space, self.compiled, self.url = space, compiled, url
        self.engine = Engine()
        self.engine.replace(compiled.policies)
        self.ledger = Ledger(url, self.engine, record_days=30, record_bytes=10**8)
        self.rows, self.asked, self.acked = [], [], 0
        self.judge = Judge(self.engine, self.ledger, self.rows.extend)
        self.judge.compiled = compiled
        self.judge.learns = False
        self.judge.listener.ask = self.asked.append
        self.number = 0

    def ack(self):
        self.acked += 1

    def said(self, text, why="change", pack=None, number=0):
        self.number += 1
        n = number or self.number
        message = models.Caption(
            s=1, n=n, t=None, up=n, frame=n, at=n, text=text, tokens=[], logp=0,
            model=pack or self.compiled.captions.encoder, why=why,
        )  # fmt: skip
        vector = self.space.sentence_vector(text)
        where = ("cam", 1, n, n, START_MS + 1000 * n)
        seen = Caption(*where, embedding=vector, encoder=message.model, text=text)
        return CaptionItem(seen, message, self.ack)

    def frame(self, view):
        self.number += 1
        n = self.number
        message = models.Embedding(
            s=1, n=n, t=None, up=n, frame=n, at=n, encoder=self.space.encoder_hash, set=None,
            e=view, why="change", sim=0,
        )  # fmt: skip
        seen = Observation("cam", 1, n, n, START_MS + 1000 * n, embedding=view)
        return Item(seen, message, self.ack)

    async def take(self, *items):
        """All of it in one batch."""
        for item in items:
            await self.judge.put(item)
        return await self.judge.judge(self.judge._next())


@pytest.fixture
async def house(space, compiled, store_url):
    one = House(space, compiled, store_url)
    await one.ledger.open()
    yield one
    await one.ledger.close()


def views(space, compiled):
    """(a frame without, a cat) from the bank."""
    order = compiled.built.bank_q8[:, 0].argsort()
    rows = space.background.embeddings
    return rows[order[600]].tobytes(), rows[order[-1]].tobytes()


async def test_frames_and_captions_of_one_batch_are_taken_in_their_order(house, space, compiled):
    empty, cat = views(space, compiled)
    found = await house.take(
        house.frame(empty),
        house.said(TOWER),
        house.frame(cat),
        house.said(MOTORCYCLE),
        house.frame(cat),
        house.said(MOTORCYCLE, "asked"),
    )
    assert [(d.policy, d.frame, d.fired) for d in found] == [
        ("cat", 5, True),
        ("says", 6, True),
    ]
    assert house.acked == 6
    store = Store(house.url)
    live = [decision.json() for decision in store.decisions()]
    replay = Replay(compiled, space.encoder_hash)
    assert [decision.json() for decision in replay.feed(store.events())] == live
    assert (replay.seen, replay.heard) == (3, 3)
    alert = next(json.loads(row["alert"]) for row in house.rows if row["policy"] == "says")
    assert (alert["caption"], alert["caption_age_s"], alert["frame"]) == (MOTORCYCLE, 0.0, 6)


async def test_an_alert_on_a_frame_carries_what_the_camera_said_last_unless_it_is_old(house, space):
    empty, cat = views(space, house.compiled)
    await house.take(house.frame(empty), house.said(TOWER), house.frame(cat), house.frame(cat))
    alert = json.loads(house.rows[0]["alert"])
    assert (alert["policy"], alert["caption"], alert["caption_age_s"]) == ("cat", TOWER, 2.0)
    assert house.judge.listener.at("cam", START_MS + 700_000) == ("", None)
    assert house.judge.listener.at("attic", START_MS) == ("", None)


async def test_t06_a_caption_delivered_twice_counts_once(house):
    await house.take(house.said(TOWER))
    first = house.said(MOTORCYCLE)
    again = house.said(MOTORCYCLE, number=first.seen.number)
    assert await house.take(first, again) == []
    assert house.acked == 3
    assert len(Store(house.url).captions()) == 2


async def test_a_device_is_asked_again_but_not_for_ever(house):
    await house.take(house.said(TOWER))
    await house.take(house.said(TOWER, "asked"))
    house.asked.clear()
    await house.take(house.said(MOTORCYCLE))
    assert house.asked == ["cam"]
    for number in range(5):
        await house.take(house.said((TOWER, MOTORCYCLE)[number % 2], "asked"))
    assert len(house.asked) == MOST_ASKED


async def test_a_caption_of_an_unknown_pack_is_kept_and_decides_nothing(house):
    for _ in range(3):
        assert await house.take(house.said(MOTORCYCLE, pack=b"unknown.")) == []
    assert house.judge.listener.counters["caption.other_pack"] == 3
    assert len(Store(house.url).captions()) == 3
    assert house.asked == []


async def test_why_and_past_and_feedback_know_captions(house, space, compiled):
    await house.take(*(house.said(text) for text in (TOWER, MOTORCYCLE, MOTORCYCLE, TOWER)))
    store = Store(house.url)
    (one,) = explain_at(compiled, space.encoder_hash, store, START_MS + 10_000, policy="says")
    assert one.seen.frame == 4
    assert {gate.name: gate.passed for gate in one.gates}["margin"] is False
    assert f"in words: {TOWER}" in [gate.text for gate in one.gates]
    past = recording_of(compiled, space.encoder_hash, store, 0).pasts["says"]
    assert (past.frames, past.held, past.fired) == (4, 2, 1)
    (alert,) = [d for d in store.decisions() if d.fired and d.policy == "says"]
    mark = feedback.mark_of(store, alert.id, "wrong", time_ms=START_MS)
    assert mark.embedding == space.sentence_vector(MOTORCYCLE)
    house.ledger.mark(mark)
    found = await house.take(*(house.said(text) for text in (TOWER, MOTORCYCLE, MOTORCYCLE)))
    (held,) = [d for d in found if d.policy == "says"]
    assert not held.fired
    assert "marked wrong" in held.reason
    policies = [item.policy for item in compiled.policies]
    counts = store.captions_by_camera()
    assert counts == {"cam": 7}
    rows = kept_promises(policies, {}, store.decisions(), [mark], counts)
    assert [(row.policy, row.frames, row.wrong) for row in rows] == [
        ("says", 7, 1),
        ("other", 7, 0),
    ]
    assert rows[1].verdict == "no promise"


async def test_a_late_caption_is_recorded_as_late_and_replayed_so(house, space, compiled):
    for text in (TOWER, MOTORCYCLE, MOTORCYCLE):
        item = house.said(text)
        item.seen.late = True
        await house.take(item)
    store = Store(house.url)
    assert [event.kind for event in store.events() if event.is_caption] == ["o"] * 3
    replayed = list(Replay(compiled, space.encoder_hash).feed(store.events()))
    assert [d.json() for d in replayed] == [d.json() for d in store.decisions()]
    assert not any(d.fired for d in replayed)


def test_captions_recorded_without_a_vector_are_passed_over(space, compiled):
    event = RecordedEvent("t", "cam", 1, 1, 1, START_MS, compiled.captions.encoder, b"a dog")
    replay = Replay(compiled, space.encoder_hash)
    assert list(replay.feed([event])) == []
    assert replay.heard == 0


def test_lints_name_cameras_that_say_nothing_and_promises_that_no_sentence_keeps(space):
    texts = ("caption: a cat on a table", "caption: a kitten on a table")
    found = [parse_policy(f"{text}\nthen: [log]\n", "p", f"p{n}") for n, text in enumerate(texts)]
    compiled = space.compile(found, number=1, dim=64)
    told = [str(one) for one in lint(compiled, {"hall"}, narrators=set())]
    assert any("hard to tell apart" in one for one in told)
    assert any("no caption of hall on record" in one for one in told)
    assert any("captions of generic photos reached: try p >= 0." in one for one in told)
    assert not any("on record" in str(one) for one in lint(compiled, {"hall"}, narrators={"hall"}))
    assert "makes no captions" in silent(found[0], "hall", None, b"known...")
    assert "not calibrated" in silent(found[0], "hall", b"another.", b"known...")
    assert silent(found[0], "hall", b"known...", b"known...") == ""


def test_the_background_is_of_the_captioner_that_ships():
    pack = hashlib.sha256((model_dir() / "captions.cpk").read_bytes()).digest()[:8]
    told = "python -m moteye_training.captions background"
    assert caption_ground().pack == pack, f"the captioner is another one: {told}"


def test_sentences_are_vectors_of_the_phrases_space(space):
    assert len(space.sentence_vector("a dog")) == 256
    assert space.sentence_vector("a dog") == load_space().sentence_vector("a dog")


async def test_the_text_tower_serves_two_threads(space):
    texts = [f"{number} dogs on a sofa" for number in range(12)]
    there = await asyncio.gather(*(asyncio.to_thread(space.sentence_vector, t) for t in texts))
    assert there == [load_space(like=space).sentence_vector(text) for text in texts]

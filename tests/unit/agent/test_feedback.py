"""What people say of alerts: through the agent, the command, and the recording."""

import json
import time

import numpy as np
import pytest
from moteye import feedback
from moteye.agent import Agent
from moteye.cli.app import app
from moteye.config import load_settings
from moteye.core.background import LEAST_FRAMES
from moteye.core.engine import Observation
from moteye.core.language import parse_policy
from moteye.errors import FeedbackError
from moteye.history import Replay
from moteye.judge import Item
from moteye.store import Store
from moteye.text.space import load_space
from moteye_protocol import models
from typer.testing import CliRunner

START_MS = 1_800_000_000_000


@pytest.fixture(scope="module")
def space():
    return load_space()


@pytest.fixture(scope="module")
def compiled(space):
    text = "see: a cat\ncooldown: 0s\nnew: instance\nthen: [log]\n"
    return space.compile([parse_policy(text, "cat", "cat")], number=1, dim=64)


class Watched:
    """An agent without a broker that is handed the frames of one camera."""

    def __init__(self, folder, space, compiled, url=""):
        self.url = url or f"sqlite:///{folder / 'moteye.db'}"
        settings = load_settings(policies=folder, listen="127.0.0.1:1", store=self.url)
        self.agent = Agent(settings)
        self.agent.in_force.space = space
        self.agent.judge.compiled = compiled
        self.agent.engine.replace(compiled.policies)
        self.said: list[dict] = []
        self.frame = 0

        async def publish(topic, payload, **_):
            self.said.append(json.loads(payload))

        self.agent.connection.publish = publish

    async def begin(self):
        await self.agent.ledger.open()
        await self.agent.restore_cameras(self.agent.space.encoder_hash)

    async def look(self, view, frames):
        items = []
        for _ in range(frames):
            self.frame += 1
            message = models.Embedding(
                s=1, n=self.frame, t=None, up=self.frame, frame=self.frame, at=self.frame,
                encoder=self.agent.space.encoder_hash, set=None, e=view, why="change", sim=0,
                colour=40,
            )  # fmt: skip
            where = ("cam", 1, self.frame, self.frame, START_MS + 1000 * self.frame)
            items.append(Item(Observation(*where, embedding=view), message, lambda: None))
        found = []
        for item in items:
            found += await self.agent.judge.judge([item])
        return found


@pytest.fixture
async def watched(tmp_path, space, compiled):
    one = Watched(tmp_path, space, compiled)
    await one.begin()
    yield one
    await one.agent.ledger.close()


@pytest.fixture(scope="module")
def views(compiled, space):
    """(a frame without, another without, a cat) from the bank."""
    margins = compiled.built.bank_q8[:, 0]
    order = np.argsort(margins)
    rows = space.background.embeddings
    return [rows[order[at]].tobytes() for at in (600, 1000, -1)]


async def test_n05_wrong_counts_at_once_and_until_taken_back(watched, views, compiled, space):
    empty, _, cat = views
    await watched.look(empty, 3)
    (alert,) = [d for d in await watched.look(cat, 3) if d.fired]
    message = json.dumps({"event": alert.id[:8], "said": "wrong", "tid": "t"}).encode()
    await watched.agent.reception.heard_of(message, False)
    assert watched.said[-1] | {"text": ""} == {
        "event": "feedback", "tid": "t", "ok": True, "mark": 1, "text": "",
    }  # fmt: skip
    await watched.look(empty, 3)
    (quiet,) = await watched.look(cat, 3)
    assert not quiet.fired
    assert [gate.name for gate in quiet.gates if not gate.passed] == ["known", "marked"]
    mark = await watched.agent.feedback({"undo": "1"})
    assert mark.undone_ms
    events = list(Store(watched.url).events())
    assert [event.kind for event in events if event.kind in "ck"] == ["k", "k"]
    live = [decision.json() for decision in Store(watched.url).decisions()]
    replayed = Replay(compiled, space.encoder_hash).feed(events)
    assert [decision.json() for decision in replayed] == live


async def test_a_name_is_kept_by_memory_and_survives_a_restart(watched, views, space, compiled):
    empty, _, cat = views
    await watched.look(empty, 3)
    (alert,) = [d for d in await watched.look(cat, 3) if d.fired]
    await watched.agent.feedback({"event": alert.id, "said": "Minka"})
    await watched.agent.ledger.commit()
    again = Watched(watched.agent.settings.policies, space, compiled)
    await again.begin()
    again.frame = watched.frame
    await again.look(empty, 3)
    (quiet,) = await again.look(cat, 3)
    assert quiet.reason == "known: Minka#1, similarity 1.00"
    await again.agent.ledger.close()


async def test_t45_a_camera_is_calibrated_to_what_it_usually_shows(
    tmp_path, store_url, views, space, compiled
):
    empty, other, _ = views
    watched = Watched(tmp_path, space, compiled, store_url)
    await watched.begin()
    for _ in range(LEAST_FRAMES // 20 + 1):
        await watched.look(empty, 10)
        await watched.look(other, 10)
    calibration = watched.agent.engine.calibrations.all["cam"]
    assert (calibration.version, calibration.frames) == (1, LEAST_FRAMES)
    store = Store(watched.url)
    (row,) = store.backgrounds(space.encoder_hash).values()
    assert row.seen == LEAST_FRAMES
    assert [e.kind for e in store.events() if e.kind in "ck"] == ["c"]
    await watched.agent.ledger.close()
    again = Watched(tmp_path, space, compiled, store_url)
    await again.begin()
    assert again.agent.engine.calibrations.all["cam"].maps == calibration.maps
    assert store.standing_at(2 * START_MS)[-1].device == "cam"
    await again.agent.ledger.close()


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (b"\xff", "a map is wanted"),
        (b"{}", "a map is wanted"),
        (b'{"event": "abcd", "said": "wrong"}', "no decision on record"),
        (b'{"event": "abcd", "said": "*"}', "neither known, wrong or right nor a name"),
        (b'{"undo": 9}', "there is no mark 9"),
        (b'{"undo": "x"}', "not the number of a mark"),
    ],
)
async def test_feedback_that_cannot_be_taken_is_answered(watched, request_, message):
    await watched.agent.reception.heard_of(request_, False)
    assert watched.said[-1]["ok"] is False
    assert message in watched.said[-1]["text"]
    assert Store(watched.url).marks() == []


async def test_a_retained_message_is_not_taken(watched):
    await watched.agent.reception.heard_of(b'{"undo": 1}', True)
    assert "retained" in watched.said[-1]["text"]


async def test_without_an_agent_the_command_writes_it_down(watched, views, monkeypatch):
    empty, _, cat = views
    await watched.look(empty, 3)
    (alert,) = [d for d in await watched.look(cat, 3) if d.fired]
    store = Store(watched.url)
    now_ms = int(time.time() * 1000)
    feedback.write(store, feedback.mark_of(store, alert.id[:6], "known", time_ms=now_ms))
    shown = CliRunner().invoke(app, ["feedback", "list", "--store", watched.url])
    assert "known" in shown.output, shown.output
    feedback.write(store, feedback.undo_of(store, 1, time_ms=now_ms))
    with pytest.raises(FeedbackError, match="taken back already"):
        feedback.undo_of(store, 1, time_ms=now_ms)
    shown = CliRunner().invoke(app, ["feedback", "list", "--store", watched.url])
    assert "taken back" in " ".join(shown.output.split())


async def test_the_report_sets_promises_beside_what_was_said(watched, views, tmp_path):
    empty, _, cat = views
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "cat.yaml").write_text("see: a cat\nthen: [log]\n")
    await watched.look(empty, 3)
    (alert,) = [d for d in await watched.look(cat, 3) if d.fired]
    await watched.agent.feedback({"event": alert.id, "said": "wrong"})
    arguments = ["policies", "report", "--policies", str(folder), "--store", watched.url]
    shown = CliRunner().invoke(app, [*arguments, "--since", "9999d"], env={"COLUMNS": "160"})
    assert shown.exit_code == 0, shown.output
    (row,) = [line for line in shown.output.splitlines() if "cat" in line and "cam" in line]
    assert [cell.strip() for cell in row.split("│")[3:9]] == ["1", "6", "1", "1", "0", "0"]

"""Time in the agent: what arrives late (T23), devices that are ahead (T20), clocks set (T19)."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest
from moteye.agent import Agent
from moteye.clock import EventClock
from moteye.config import load_settings
from moteye.core.compile import CompiledSet
from moteye.core.engine import CompiledPolicy
from moteye.core.language import parse_policy
from moteye.core.scoring import Scorer
from moteye.history import Replay
from moteye.store import Store
from moteye_protocol import models
from moteye_protocol.prototype_set import PrototypeSet

HOUR_S = 3600
HOURS_MS = 6 * HOUR_S * 1000
NOON_S = 1_790_000_000.0
ENCODER = b"encoder!"
SEEN, UNSEEN = (np.full(256, sign * 100, np.int8).tobytes() for sign in (1, -1))


def compiled_set(text="cooldown: 0s", schedule=None):
    """One policy on one row, which SEEN answers and UNSEEN does not."""
    policy = parse_policy(f"see: a cat\n{text}\nthen: [log]\n", "cat", "cat")
    prototypes = PrototypeSet(
        encoder_hash=ENCODER,
        number=1,
        names=("a cat",),
        codes=np.full((1, 64), 7, np.int8),
        scale=np.full((3, 1), 100, np.uint8),
        mult=np.full((3, 1), 1000, np.uint16),
        offset=np.zeros((3, 1), np.int16),
        shift=(24,) * 3,
        report_q8=0,
    )
    found = CompiledPolicy(policy, np.array([0]), np.array([1], np.int32), "cat", schedule)
    built = SimpleNamespace(prototypes=prototypes)
    return CompiledSet((found,), built, Scorer(prototypes, 64), thresholds={})


class Hearing:
    """An agent without a broker that hears one camera.

    `now_s` is its clock, which the wall's is `set_s` ahead of.
    """

    def __init__(self, agent):
        self.agent, self.now_s, self.set_s, self.frame = agent, NOON_S, 0.0, 0
        clock = EventClock(lambda: self.now_s, lambda: self.now_s + self.set_s)
        agent.devices.clock = clock

    def use(self, compiled):
        self.agent.judge.compiled = compiled
        self.agent.engine.replace(compiled.policies)

    async def hear(self, *views, at_ms, t=None):
        for view in views:
            self.frame += 1
            message = models.Embedding(
                s=1,
                n=self.frame,
                t=t,
                up=at_ms,
                frame=self.frame,
                at=at_ms,
                encoder=ENCODER,
                set=None,
                e=view,
                why="change",
                sim=0,
            )
            topic = models.topic("cam", "embedding")
            written = asyncio.Event()
            await self.agent.reception.receive(topic, models.encode(message), False, written.set)
        await asyncio.wait_for(written.wait(), 10)

    def decisions(self):
        store = Store(self.agent.settings.store_url)
        return sorted(store.decisions(), key=lambda decision: decision.time_ms)


@pytest.fixture
async def hearing(tmp_path, store_url):
    flags = {"policies": tmp_path, "listen": "127.0.0.1:1", "store": store_url}
    agent = Agent(load_settings(**flags, camera_background=False))
    agent.in_force.space = SimpleNamespace(encoder_hash=ENCODER)
    agent.devices._resync = lambda device: False
    await agent.ledger.open()
    task = asyncio.create_task(agent.judge.run())
    found = Hearing(agent)
    found.use(compiled_set())
    yield found
    task.cancel()
    await agent.ledger.close()


async def test_t23_late_arrivals_alert_nobody_and_are_recorded(hearing, tmp_path):
    agent = hearing.agent
    await hearing.hear(UNSEEN, at_ms=0)
    hearing.now_s += HOURS_MS / 1000
    await hearing.hear(*[SEEN, SEEN, UNSEEN, UNSEEN] * 25, at_ms=1000)
    assert agent.counters["embedding.late"] == 100
    assert [d.fired for d in hearing.decisions()] == [False] * 25
    assert {d.reason.partition(":")[0] for d in hearing.decisions()} == {"late"}
    assert agent.outbox.waiting == 0
    await hearing.hear(SEEN, SEEN, at_ms=HOURS_MS)
    assert [d.fired for d in hearing.decisions()] == [False] * 25 + [True]
    events = list(Store(agent.settings.store_url).events())
    assert [event.kind for event in events] == ["s", "p", "e", *["l"] * 100, "e", "e"]
    again = list(Replay(agent.judge.compiled, ENCODER).feed(events))
    assert [d.json() for d in again] == [d.json() for d in hearing.decisions()]


async def test_t23_what_is_a_little_late_alerts(hearing):
    await hearing.hear(UNSEEN, at_ms=0)
    hearing.now_s += 59
    await hearing.hear(SEEN, SEEN, UNSEEN, UNSEEN, at_ms=100)
    assert [d.fired for d in hearing.decisions()] == [True]
    hearing.now_s += 2
    await hearing.hear(SEEN, SEEN, at_ms=200)
    assert [d.fired for d in hearing.decisions()] == [True, False]


async def test_t20_verdicts_do_not_depend_on_the_device_clock(hearing):
    await hearing.hear(UNSEEN, at_ms=0)
    for at_ms, t in ((1000, 10), (2000, 4_000_000_000_000), (3000, None)):
        hearing.now_s += 1
        await hearing.hear(SEEN, SEEN, UNSEEN, UNSEEN, at_ms=at_ms, t=t)
    assert [d.fired for d in hearing.decisions()] == [True] * 3


class Afternoon:
    """A window that opens an hour after NOON_S."""

    opens_at_ms = int(NOON_S + HOUR_S) * 1000

    def closed(self, time_ms):
        return "" if time_ms >= self.opens_at_ms else "too early"

    def opens_ms(self, time_ms):
        return max(time_ms, self.opens_at_ms)


@pytest.mark.parametrize("set_s", [HOUR_S + 1, -HOUR_S, -NOON_S, 45 * 365 * 24 * HOUR_S])
async def test_t19_a_clock_that_is_set_moves_no_cooldown_but_the_windows(hearing, set_s):
    hearing.use(compiled_set("cooldown: 10m", Afternoon()))
    hearing.now_s += HOUR_S  # the window is open
    await hearing.hear(UNSEEN, SEEN, SEEN, UNSEEN, UNSEEN, at_ms=0)
    hearing.set_s = set_s
    for minute in (9, 11):
        hearing.now_s = NOON_S + HOUR_S + 60 * minute
        at_ms = minute * 60_000
        await hearing.hear(SEEN, SEEN, UNSEEN, UNSEEN, at_ms=at_ms)
    decisions = hearing.decisions()
    reasons = [d.reason.partition(":")[0] for d in decisions]
    too_early = set_s == -HOUR_S  # the others are an hour on, or times that nobody believes
    assert reasons == ["seen", "cooldown", "while" if too_early else "seen"]
    events = list(Store(hearing.agent.settings.store_url).events())
    believed = abs(set_s) < 2 * HOUR_S
    assert [event.data for event in events if event.kind == "w"] == (
        [str(int(set_s * 1000)).encode()] if believed else []
    )
    again = list(Replay(hearing.agent.judge.compiled, ENCODER).feed(events))
    assert [d.json() for d in again] == [d.json() for d in decisions]

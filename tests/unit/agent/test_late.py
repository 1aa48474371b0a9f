"""What arrives late decides nothing (T23)."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest
from moteye.agent import Agent
from moteye.clock import EventClock
from moteye.config import load_settings
from moteye_protocol import models

HOURS_MS = 6 * 3600 * 1000
ENCODER = b"encoder!"


@pytest.fixture
async def agent(tmp_path):
    """An agent without broker that keeps the frames which it judges in `seen`."""
    found = Agent(load_settings(policies=tmp_path, listen="127.0.0.1:1"))
    found.seen = []
    found._space = SimpleNamespace(encoder_hash=ENCODER)
    scorer = SimpleNamespace(margins_q8=lambda batch: np.zeros((len(batch), 1), np.int16))
    found._compiled = SimpleNamespace(scorer=scorer)
    found.engine = SimpleNamespace(observe=lambda seen, row: found.seen.append(seen.frame) or [])
    now = [1000.0]
    found.now = now
    found._clock = found.devices.clock = EventClock(lambda: now[0], lambda: now[0])
    found.devices._resync = False
    task = asyncio.create_task(found._judge())
    yield found
    task.cancel()


async def hear(agent, frames, at_ms):
    for frame in frames:
        message = models.Embedding(
            s=1,
            n=frame,
            t=None,
            up=at_ms,
            frame=frame,
            at=at_ms,
            encoder=ENCODER,
            set=None,
            e=bytes(256),
            why="change",
            sim=0,
        )
        await agent._receive(models.topic("cam", "embedding"), models.encode(message), False)
    for _ in range(5):
        await asyncio.sleep(0)


async def test_t23_late_arrivals_decide_nothing_and_are_counted(agent):
    await hear(agent, [0], at_ms=0)
    agent.now[0] += HOURS_MS / 1000
    await hear(agent, range(1, 101), at_ms=1000)
    assert agent.seen == [0]
    assert agent.counters["embedding.late"] == 100
    await hear(agent, [101], at_ms=HOURS_MS)
    assert agent.seen == [0, 101]


async def test_t23_what_is_a_little_late_decides(agent):
    await hear(agent, [0], at_ms=0)
    agent.now[0] += 59
    await hear(agent, [1], at_ms=100)
    assert agent.seen == [0, 1]
    agent.now[0] += 2
    await hear(agent, [2], at_ms=200)
    assert (agent.seen, agent.counters["embedding.late"]) == ([0, 1], 1)


async def test_t20_verdicts_do_not_depend_on_the_device_clock(agent):
    await hear(agent, [0], at_ms=0)
    for frame, t in ((1, 10), (2, 4_000_000_000_000), (3, None)):
        message = models.Embedding(
            s=1,
            n=frame,
            t=t,
            up=0,
            frame=frame,
            at=0,
            encoder=ENCODER,
            set=None,
            e=bytes(256),
            why="change",
            sim=0,
        )
        await agent._receive(models.topic("cam", "embedding"), models.encode(message), False)
    for _ in range(5):
        await asyncio.sleep(0)
    assert agent.seen == [0, 1, 2, 3]

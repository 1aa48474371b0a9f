"""The engine without the link: batches handed in, decided on, written to SQLite.

    python engine.py rss POLICIES DEVICES

prints the resident megabytes of an agent's memory with so many devices seen.
"""

import asyncio
import logging
import resource
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog
import workload
from moteye.core.background import rows_of_each
from moteye.core.compile import CompiledSet, compile_policies
from moteye.core.engine import Engine
from moteye.core.presence import Presence
from moteye.core.seen import Observation
from moteye.history import Replay
from moteye.interpreter import collect_seldom
from moteye.judge import MOST_A_BATCH, Item, Judge
from moteye.ledger import Ledger
from moteye.link.devices import Devices
from moteye.store import Batch, RecordedEvent, Store
from moteye.text.space import Space, load_space
from moteye_protocol import models

BATCH = MOST_A_BATCH  # what the judge takes at once when more waits
NOT_SEEN_Q8, SEEN_Q8 = -4000, 4000


@dataclass
class Planted:
    """A scorer that does its work and then says what the measurement wants seen."""

    scorer: Any
    planted: list[npt.NDArray[np.int16]]
    calls: int = 0

    @property
    def dim(self) -> int:
        """The dimension that it scores at."""
        return int(self.scorer.dim)

    def margins_q8(self, embeddings: npt.NDArray[np.int8]) -> npt.NDArray[np.int16]:
        """Margins int16[B, K]."""
        self.scorer.margins_q8(embeddings)
        self.calls += 1
        return self.planted[(self.calls - 1) % len(self.planted)][: len(embeddings)]


def compiled(space: Space, policies: int, seed: int = 0) -> CompiledSet:
    """Policies whose phrases are random directions: what they mean does not matter here."""
    rng = np.random.default_rng(seed)
    return compile_policies(
        workload.policies(policies),
        lambda phrases: rng.standard_normal((len(phrases), 256)).astype(np.float32),
        space.background,
        space.logistic,
        encoder_hash=space.encoder_hash,
        number=1,
        dim=64,
    )


def planted(phrases: int, seen_a_frame: float, seed: int = 1) -> list[npt.NDArray[np.int16]]:
    """Margins of four batches; in the last each frame shows `seen_a_frame` phrases on average."""
    rng = np.random.default_rng(seed)
    batches = [np.full((BATCH, phrases), NOT_SEEN_Q8, np.int16) for _ in range(4)]
    batches[3][rng.random(batches[3].shape) < seen_a_frame / phrases] = SEEN_Q8
    return batches


async def us_per_event(
    space: Space, found: CompiledSet, *, seen_a_frame: float, events: int, devices: int
) -> tuple[float, float]:
    """(processor, wall) microseconds an event, batches of BATCH, SQLite on disk."""
    scorer = Planted(found.scorer, planted(len(found.built.prototypes.names), seen_a_frame))
    engine = Engine()
    engine.replace(found.policies)
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(f"{folder}/s.db", engine, record_days=30, record_bytes=10**10)
        await ledger.open()
        judge = Judge(engine, ledger, lambda rows: None)
        judge.compiled = replace(found, scorer=scorer)  # type: ignore[arg-type]
        batches = _batches(space, events + 2 * devices, devices)
        warm = -(-2 * devices // BATCH)
        for batch in batches[:warm]:
            await judge.judge(batch)
        collect_seldom()  # as `moteye run` does
        wall, processor = time.perf_counter(), time.process_time()
        for batch in batches[warm:]:
            await judge.judge(batch)
        processor, wall = time.process_time() - processor, time.perf_counter() - wall
        count = sum(map(len, batches[warm:]))
        await ledger.close()
    return 1e6 * processor / count, 1e6 * wall / count


def _batches(space: Space, events: int, devices: int) -> list[list[Item]]:
    items = []
    for topic, payload in workload.messages(space, events, devices):
        device, name = models.split_topic(topic)
        message = models.parse(name, payload)
        assert isinstance(message, models.Embedding)
        seen = Observation(device, message.s, message.n, message.frame, 10**12 + message.up)
        items.append(Item(seen, message, lambda: None))
    return [items[at : at + BATCH] for at in range(0, len(items), BATCH)]


def _recorded(space: Space, number: int, data: bytes) -> RecordedEvent:
    where = ("cam", 1, number, number, 2000 * number)
    return RecordedEvent("e", *where, space.encoder_hash, data)


def backtest_s(space: Space, count: int) -> tuple[float, float, int]:
    """(wall, processor seconds, decisions) of `count` events from SQLite through one policy."""
    text = "see: a cup\ncertainty: likely\ncooldown: 10m\nthen: [log]\n"
    found = space.compile([workload.parse_policy(text, "cup", "cup")], number=1, dim=64)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"{folder}/long.db")
        seen = workload.views(space, 20_000)
        for start in range(0, count, 20_000):
            numbers = range(start, min(start + 20_000, count))
            events = [_recorded(space, n, seen[n - start].tobytes()) for n in numbers]
            store.commit(Batch(events=events))
        wall, processor = time.perf_counter(), time.process_time()
        replay = Replay(found, space.encoder_hash)
        decided = sum(1 for _ in replay.feed(store.events()))
        took = (time.perf_counter() - wall, time.process_time() - processor, decided)
        assert replay.seen == count
        store.close()
    return took


async def fill(space: Space, policies: int, devices: int) -> None:
    """An agent's memory after three frames of each device, some of which show things.

    What is kept of each camera's background is as large as years of watching make it.
    """
    found = compiled(space, policies)
    engine = Engine()
    engine.replace(found.policies)
    ledger = Ledger("sqlite://", engine, record_days=30, record_bytes=10**6)
    ledger._store = None  # what is on disk is not resident
    judge = Judge(engine, ledger, lambda rows: None)
    judge.compiled = found

    async def publish(topic: str, payload: bytes) -> None:
        raise AssertionError(topic)

    everyone = Devices(publish)
    batch: list[Item] = []
    for topic, payload in workload.messages(space, 3 * devices, devices):
        taken = everyone.receive(topic, payload, False)
        assert taken is not None, topic
        device, message = taken
        assert isinstance(message, models.Embedding)
        time_ms = ledger.time_of(device.id, device.presence, message.at, 10**12 + message.up)
        seen = Observation(device.id, message.s, message.n, message.frame, time_ms)
        batch.append(Item(seen, message, lambda: None))
        if len(batch) == BATCH:
            await judge.judge(batch)
            batch = []
    await judge.judge(batch)
    assert isinstance(device.presence, Presence)
    for reservoir in judge.cameras.reservoirs.values():
        while len(reservoir) < rows_of_each(devices):
            reservoir.add(message.e, rows_of_each(devices))


def main() -> None:
    """Fill a fresh process and say how much it holds."""
    _, _, policies, devices = sys.argv
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asyncio.run(fill(load_space(), int(policies), int(devices)))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main()

"""The inbox: bounded, heartbeats make room, events never do."""

import asyncio

import pytest
from moteye import judge
from moteye.core.engine import Engine, Observation
from moteye.judge import Item, Judge
from moteye.ledger import Ledger
from moteye_protocol import models

LIMIT = 4


@pytest.fixture
async def small(monkeypatch):
    monkeypatch.setattr(judge, "INBOX_LIMIT", LIMIT)
    engine = Engine()
    ledger = Ledger("sqlite://", engine, record_days=1, record_bytes=1_000_000)
    await ledger.open()
    yield Judge(engine, ledger, lambda rows: None)
    await ledger.close()


def item(number: int, why: str, acknowledged: list[int]) -> Item:
    message = models.Embedding(
        s=1,
        n=number,
        t=None,
        up=number,
        frame=number,
        at=number,
        encoder=bytes(8),
        set=None,
        e=bytes(256),
        why=why,
        sim=0,
    )
    seen = Observation("cam", 1, number, number, number)
    return Item(seen, message, lambda: acknowledged.append(number))


async def test_t14_a_full_inbox_drops_the_oldest_heartbeat_and_counts_it(small):
    acknowledged: list[int] = []
    for number, why in enumerate(["change", "heartbeat", "heartbeat", "change", "change"]):
        await small.put(item(number, why, acknowledged))
    assert acknowledged == [1]
    assert small.counters["inbox.dropped"] == 1
    assert small.waiting == LIMIT


async def test_t14_events_wait_for_room_and_none_is_lost(small):
    count = 3 * LIMIT
    done = asyncio.Event()

    class Acknowledged(list):
        def append(self, number):
            super().append(number)
            if number == count:
                done.set()

    acknowledged = Acknowledged()

    async def arrive():
        for number in range(count):
            await small.put(item(number, "change", acknowledged))

    arriving = asyncio.create_task(arrive())
    await asyncio.sleep(0)
    assert small.waiting == LIMIT
    assert not arriving.done()
    judging = asyncio.create_task(small.run())
    async with asyncio.timeout(10):
        await arriving
        await small.put(item(count, "change", acknowledged))
        await done.wait()
    judging.cancel()
    assert acknowledged == list(range(count + 1))
    assert small.counters["inbox.dropped"] == 0
    assert small.counters["inbox.held"] > 0

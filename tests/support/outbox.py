"""An outbox at work with a virtual clock, a receiver that fails on purpose, an agent that notes."""

import asyncio
import contextlib
from contextlib import asynccontextmanager

from moteye.actions.alert import Alert
from moteye.actions.outbox import Outbox
from moteye.actions.rows import TELL, kind_of
from moteye.core.language import parse_policy
from moteye.errors import LinkError


class Receiver:
    """In place of a runner: fails as often as `fail` says, by kind of action."""

    def __init__(self, **fail) -> None:
        self.fail = fail
        self.calls: list[tuple[str, str]] = []

    async def perform(self, alert, action):
        self.calls.append((action.kind, alert.id))
        left = self.fail.get(action.kind, 0)
        if isinstance(left, Exception):
            raise left
        if left:
            self.fail[action.kind] = left - 1
            raise LinkError("no broker")
        return alert.with_picture("shot.png") if action.kind == "save" else alert


class Agent:
    def __init__(self) -> None:
        self.written: dict[tuple[str, int], dict] = {}
        self.told: list[Alert] = []
        self.released: list[tuple] = []
        self.away = 0  # so many times subscribers cannot be told
        self.policies = {name: parse_policy("see: x\nthen: [log]\n", "p", name) for name in "pq"}

    @property
    def acts(self) -> dict[tuple[str, int], dict]:
        """What is written of actions, without the rows that tell subscribers."""
        return {key: row for key, row in self.written.items() if kind_of(row) != TELL}

    async def delivered(self, rows, *, at_once):
        self.written |= {(row["job"], row["position"]): dict(row) for row in rows}

    async def tell(self, alert):
        if self.away:
            self.away -= 1
            raise LinkError("no broker")
        self.told.append(alert)

    async def asked_again(self):
        again, self.again = getattr(self, "again", []), []
        return again

    async def waiting(self):
        return [dict(row) for row in self.written.values() if row["state"] == "wait"]

    def undelivered(self, *alert):
        self.released.append(alert)

    def policy(self, policy):
        return self.policies.get(policy)


@asynccontextmanager
async def at_work(receiver: Receiver, agent: Agent):
    clock = [1_000_000]
    outbox = Outbox(receiver, agent, now_ms=lambda: clock[0], jitter=lambda: 1.0)
    task = asyncio.create_task(outbox.run())

    async def until(condition):
        async with asyncio.timeout(20):
            while not condition():
                for _ in range(20):
                    await asyncio.sleep(0)
                if outbox._heap:
                    clock[0] = max(clock[0], outbox._heap[0][0])
                    outbox._changed.set()

    yield outbox, until, clock
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

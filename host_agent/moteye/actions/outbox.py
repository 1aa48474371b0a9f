"""The outbox: what an alert asks for, done until it is delivered or given up.

Rows come from the transaction that holds the decision, so that a crash loses none. `mqtt` and
`webhook` are tried again with backoff and jitter: at least once, and once for a receiver that
honours the idempotency key. `log` and `save` are tried once.
"""

import asyncio
import contextlib
import heapq
import itertools
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Protocol

import structlog

from moteye.actions.alert import Alert
from moteye.actions.runner import ActionRunner
from moteye.core.decisions import Decision
from moteye.core.language import Action, LogAction, MqttAction, SaveAction, WebhookAction
from moteye.errors import ActionError, MoteyeError

log = structlog.get_logger("moteye.outbox")
Row = dict[str, Any]
RETRY_BASE_S = 2.0
RETRY_CAP_S = 300.0
MOST_ATTEMPTS = 10
AT_ONCE = 8  # jobs under way; one policy and camera has at most one
_KINDS: dict[str, type[LogAction | MqttAction | WebhookAction | SaveAction]] = {
    "log": LogAction,
    "mqtt": MqttAction,
    "webhook": WebhookAction,
    "save": SaveAction,
}


class Host(Protocol):
    """What an outbox needs of the agent."""

    async def delivered(self, rows: list[Row]) -> None:
        """Write down what became of `rows`."""

    async def tell(self, alert: Alert) -> None:
        """Show subscribers the alert, after the first round of its actions."""

    def undelivered(self, policy: str, device: str, fired_ms: int) -> None:
        """No action of that alert could be delivered: it does not count for the cooldown."""

    def in_force(self, policy: str) -> bool:
        """Whether a policy is still there; actions of a removed one are dropped."""


def rows_of(decision: Decision, alert: Alert, actions: list[Action]) -> list[Row]:
    """The outbox rows of a decision that fired, one an action."""
    return [
        {
            "job": f"{decision.id}-{decision.time_ms}",
            "position": position,
            "decision": decision.id,
            "policy": decision.policy,
            "device": decision.device,
            "fired_ms": decision.time_ms,
            "action": action.model_dump_json(),
            "alert": alert.json(),
            "state": "wait",
            "attempts": 0,
            "due_ms": decision.due_ms,
            "error": "",
        }
        for position, action in enumerate(actions)
    ]


class Outbox:
    """Does what waits. `add` rows in the order of their decisions; `await run()` until cancelled.

    `now_ms` and `jitter` are handed in by tests.
    """

    def __init__(
        self,
        runner: ActionRunner,
        host: Host,
        *,
        now_ms: Callable[[], int] = lambda: int(time.time() * 1000),
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._runner = runner
        self._host = host
        self._now_ms = now_ms
        self._jitter = jitter
        self._heap: list[tuple[int, int, list[Row]]] = []
        self._order = itertools.count()
        self._changed = asyncio.Event()
        self._locks: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._slots = asyncio.Semaphore(AT_ONCE)

    @property
    def waiting(self) -> int:
        """How many alerts have actions to do later."""
        return len(self._heap)

    def add(self, rows: list[Row]) -> None:
        """Take rows, of one or of many alerts."""
        jobs: dict[str, list[Row]] = {}
        for row in rows:
            jobs.setdefault(row["job"], []).append(row)
        for job in jobs.values():
            self._push(job)

    async def run(self) -> None:
        """Carry out what is due, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                while self._heap and self._heap[0][0] <= self._now_ms():
                    group.create_task(self._attempt(heapq.heappop(self._heap)[2]))
                wait_s = (self._heap[0][0] - self._now_ms()) / 1000 if self._heap else None
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(wait_s, 60.0) if wait_s else None):
                        await self._changed.wait()

    def _push(self, job: list[Row]) -> None:
        due_ms = min(row["due_ms"] for row in job if row["state"] == "wait")
        heapq.heappush(self._heap, (due_ms, next(self._order), job))
        self._changed.set()

    async def _attempt(self, job: list[Row]) -> None:
        first = job[0]
        async with self._locks[first["policy"], first["device"]], self._slots:
            fresh = all(row["attempts"] == 0 for row in job)
            alert = Alert(**json.loads(first["alert"]))
            if self._host.in_force(first["policy"]):
                alert = await self._round(job, alert)
            else:
                for row in job:
                    _settle(row, "dead", "the policy was removed")
            await self._host.delivered(job)
            if fresh and self._host.in_force(first["policy"]):
                await self._host.tell(alert)
        if any(row["state"] == "wait" for row in job):
            self._push(job)
        elif not any(row["state"] == "done" for row in job):
            self._host.undelivered(first["policy"], first["device"], first["fired_ms"])

    async def _round(self, job: list[Row], alert: Alert) -> Alert:
        """Try each action that waits; pictures first, so that the others can name the file."""
        waiting = [row for row in job if row["state"] == "wait"]
        for row in sorted(waiting, key=lambda row: json.loads(row["action"])["kind"] != "save"):
            settings = json.loads(row["action"])
            action = _KINDS[settings["kind"]].model_construct(**settings)
            row["attempts"] += 1
            try:
                alert = await self._runner.perform(alert, action)
            except MoteyeError as error:
                self._failed(row, settings["kind"], error)
            else:
                _settle(row, "done", "")
        text = json.dumps(asdict(alert), ensure_ascii=False)
        for row in job:
            row["alert"] = text
        return alert

    def _failed(self, row: Row, kind: str, error: MoteyeError) -> None:
        hopeless = kind in ("log", "save") or (isinstance(error, ActionError) and error.permanent)
        if hopeless or row["attempts"] >= MOST_ATTEMPTS:
            _settle(row, "dead", str(error))
        else:
            longest_s = min(RETRY_CAP_S, RETRY_BASE_S * 2 ** (row["attempts"] - 1))
            delay_s = longest_s * (0.5 + self._jitter() / 2)
            row["due_ms"] = self._now_ms() + int(1000 * delay_s)
            row["error"] = str(error)
        log.error(
            "action failed",
            policy=row["policy"],
            action=kind,
            reason=str(error),
            again="no" if row["state"] == "dead" else "yes",
        )


def _settle(row: Row, state: str, error: str) -> None:
    row["state"], row["error"] = state, error

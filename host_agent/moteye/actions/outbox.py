"""The outbox: what an alert asks for, done until it is delivered or given up.

Rows come from the transaction that holds the decision, so that a crash loses none. `mqtt` and
`webhook` are tried again with backoff and jitter: at least once, and once for a receiver that
honours the idempotency key. `notify`, `command` and `home_assistant` are done at most once: that
one begins is written down before, and what may have been done is `unknown` and left to a person.
`log`, `save` and `capture` are tried once. Subscribers are told after the first round of actions,
at least once. Escalations wait here, too, until somebody acknowledges.
"""

import asyncio
import contextlib
import heapq
import itertools
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol, cast

import structlog

from moteye.actions.alert import Alert
from moteye.actions.rows import TELL, Row, is_escalation, is_main, kind_of
from moteye.actions.runner import ActionRunner
from moteye.core.language import ACTIONS, Action, Policy
from moteye.errors import ActionError, MoteyeError, StoreError

log = structlog.get_logger("moteye.outbox")
RETRY_BASE_S = 2.0
RETRY_CAP_S = 300.0
MOST_ATTEMPTS = 20  # spread over 32 to 64 minutes
AT_ONCE = 8  # jobs under way at receivers that may be slow; one policy and camera has at most one
QUICK_AT_ONCE = 64  # jobs under way that need the broker at most
LOOK_AGAIN_S = 2.0
TURN_S = 10.0
GRACE_S = 10.0
MOST_OPEN = 5_000  # jobs in memory; more wait in the store alone
AT_MOST_ONCE = ("notify", "command", "home_assistant")
TRIED_ONCE = ("log", "save", "capture")
PICTURES = ("save", "capture")
QUICK = ("log", "mqtt", TELL)


class Host(Protocol):
    """What an outbox needs of the agent."""

    async def delivered(self, rows: list[Row], *, at_once: bool) -> None:
        """Write down what became of `rows`, `at_once` or with what is written next."""

    async def tell(self, alert: Alert) -> None:
        """Show subscribers the alert, after the first round of its actions. Raises LinkError."""

    def undelivered(self, policy: str, device: str, fired_ms: int) -> None:
        """No action of that alert could be delivered: it does not count for the cooldown."""

    def policy(self, name: str) -> Policy | None:
        """The policy of that name; actions of one that was removed are dropped."""

    async def asked_again(self) -> list[Row]:
        """Rows that a person asked to try again."""

    async def waiting(self) -> list[Row]:
        """All rows of the store that wait, oldest first. Raises StoreError."""


class Outbox:
    """Does what waits. `add` rows in the order of their decisions; `await run()` until cancelled.

    `turned_s`: when it last looked what is due. `now_ms` and `jitter` are handed in by tests.
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
        self._group: asyncio.TaskGroup | None = None  # while it runs
        self._attempts: set[asyncio.Task[None]] = set()
        self._order = itertools.count()
        self._changed = asyncio.Event()
        self._ending = False
        self.turned_s = time.monotonic()
        self._locks: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        # A receiver that hangs must not hold up what goes no further than the broker.
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._quick_slots = asyncio.Semaphore(QUICK_AT_ONCE)
        # Jobs that are not settled, by policy and camera, then by job.
        self._open: defaultdict[tuple[str, str], dict[str, list[Row]]] = defaultdict(dict)
        self._left = False  # jobs were left in the store, for want of room
        self._added: set[str] = set()  # jobs that came while the store was read
        self.counters: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """How many alerts have actions to do later."""
        return sum(_waits(job) for _, _, job in self._heap)

    @property
    def _held(self) -> int:
        """Jobs in memory."""
        return sum(map(len, self._open.values()))

    def add(self, rows: list[Row]) -> None:
        """Take rows, of one or of many alerts; beyond MOST_OPEN they are left in the store."""
        jobs: dict[str, list[Row]] = {}
        for row in rows:
            jobs.setdefault(row["job"], []).append(row)
        if not jobs:
            return
        room = MOST_OPEN - self._held
        for number, (name, job) in enumerate(jobs.items()):
            if number < room:
                self._added.add(name)
                self._push(job)
            else:
                self._left = True
                self.counters["left_in_store"] += 1
        if self._group is not None:  # at once: the turn comes behind all else that is ready
            self._begin_what_is_due(self._group)

    async def run(self) -> None:
        """Carry out what is due, until cancelled; what is under way then has GRACE_S to end."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_again())
            self._group = group
            try:
                while True:
                    self.turned_s = time.monotonic()
                    self._changed.clear()
                    self._begin_what_is_due(group)
                    await self._wait_for_the_next()
            except asyncio.CancelledError:
                self._group, self._ending = None, True
                if self._attempts:
                    await asyncio.wait(self._attempts, timeout=GRACE_S)
                raise

    def _begin_what_is_due(self, group: asyncio.TaskGroup) -> None:
        while self._heap and self._heap[0][0] <= self._now_ms():
            attempt = group.create_task(self._attempt(heapq.heappop(self._heap)[2]))
            self._attempts.add(attempt)
            attempt.add_done_callback(self._attempts.discard)

    async def _wait_for_the_next(self) -> None:
        wait_s = (self._heap[0][0] - self._now_ms()) / 1000 if self._heap else TURN_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(wait_s, TURN_S)):
                await self._changed.wait()

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(LOOK_AGAIN_S)
            self.add(await self._host.asked_again())
            if self._left and self._held <= MOST_OPEN // 2:
                with contextlib.suppress(StoreError):  # looked for again in a moment
                    await self._fetch()

    async def _fetch(self) -> None:
        """Take what was left in the store, but nothing that is under way or was meanwhile."""
        self._added = {name for jobs in self._open.values() for name in jobs}
        found = await self._host.waiting()
        known, self._left = set(self._added), False
        self.add([row for row in found if row["job"] not in known])

    def _push(self, job: list[Row]) -> None:
        due_ms = min(row["due_ms"] for row in job if row["state"] == "wait")
        self._open[job[0]["policy"], job[0]["device"]][job[0]["job"]] = job
        heapq.heappush(self._heap, (due_ms, next(self._order), job))
        self._changed.set()

    async def _attempt(self, job: list[Row]) -> None:
        first = job[0]
        policy = self._host.policy(first["policy"])
        apart = policy is not None and policy.mode == "parallel"
        lock = asyncio.Lock() if apart else self._locks[first["policy"], first["device"]]
        quick = all(kind_of(row) in QUICK for row in job)
        async with lock, self._quick_slots if quick else self._slots:
            if self._ending:  # it stays in the store, for the next run
                return
            if not _waits(job):  # acknowledged, replaced or told in a digest meanwhile
                self._open[first["policy"], first["device"]].pop(first["job"], None)
                return
            changed = self._make_way(job, policy)
            fresh = _waits(job) and all(row["attempts"] == 0 for row in job)
            alert = Alert(**json.loads(first["alert"]))
            if policy is None:
                _settle_all(job, "dead", "the policy was removed")
            elif fresh:
                alert, told = self._digest(job, alert, policy)
                changed += told
            if _waits(job):
                alert = await self._round(job, alert)
            await self._host.delivered([*job, *changed], at_once=not quick)
            await self._tell(job, alert)
        if _waits(job):
            self._push(job)
        else:
            self._open[first["policy"], first["device"]].pop(first["job"], None)
            if is_main(first) and not _reached_anybody(job):
                self._host.undelivered(first["policy"], first["device"], first["fired_ms"])

    async def acknowledge(self, what: str) -> list[str]:
        """Somebody has seen an alert: no escalation of it any more.

        `what` is its id, the beginning of one, or a tag; returns the ids of the alerts.
        """
        stopped = [
            row
            for jobs in self._open.values()
            for job in jobs.values()
            for row in job
            if is_escalation(row) and row["state"] == "wait" and _is_meant(row, what)
        ]
        _settle_all(stopped, "acknowledged", "")
        if stopped:
            await self._host.delivered(stopped, at_once=True)
        return list(dict.fromkeys(row["decision"] for row in stopped))

    def _make_way(self, job: list[Row], policy: Policy | None) -> list[Row]:
        """Mind `mode:` before the first try; returns the rows of other jobs that changed."""
        first = job[0]
        if policy is None or not is_main(first) or any(row["attempts"] for row in job):
            return []
        jobs = self._open[first["policy"], first["device"]]
        others = [
            row
            for other in jobs.values()
            for row in other
            if row["decision"] != first["decision"]
            and row["fired_ms"] <= first["fired_ms"]
            and row["state"] == "wait"
        ]
        if policy.mode == "restart":
            _settle_all(others, "dropped", "mode restart: a later alert has taken its place")
            return others
        if policy.mode != "single" or all(kind_of(row) == TELL for row in others):
            return []
        own = [row for other in jobs.values() for row in other]
        own = [row for row in own if row["decision"] == first["decision"]]
        _settle_all(own, "dropped", "mode single: an earlier alert is still under way")
        return [row for row in own if row not in job]

    def _digest(self, job: list[Row], alert: Alert, policy: Policy) -> tuple[Alert, list[Row]]:
        """Alerts of a policy that were kept for the same moment as one; the others' rows."""
        first = job[0]
        if policy.defer != "digest" or not is_main(first) or not first["due_ms"]:
            return alert, []
        others = [
            other
            for (name, _), jobs in self._open.items()
            for other in jobs.values()
            if name == first["policy"]
            and other is not job
            and is_main(other[0])
            and other[0]["due_ms"] == first["due_ms"]
            and _waits(other)
            and not other[0]["attempts"]
        ]
        if not others:
            return alert, []
        digest = alert.digest([Alert(**json.loads(other[0]["alert"])) for other in others])
        told = [row for other in others for row in other]
        _settle_all(told, "done", f"in the digest of {first['decision'][:8]}")
        return digest, told

    async def _round(self, job: list[Row], alert: Alert) -> Alert:
        """Try each action that waits; pictures first, so that the others can name the file."""
        waiting = [row for row in job if row["state"] == "wait" and kind_of(row) != TELL]
        for row in sorted(waiting, key=lambda row: kind_of(row) not in PICTURES):
            kind = kind_of(row)
            row["attempts"] += 1
            if kind in AT_MOST_ONCE:
                row["state"] = "begun"
                # with what was done before it
                await self._host.delivered(job, at_once=True)
            try:
                alert = await self._runner.perform(alert, action_of(row))
            except MoteyeError as error:
                self._failed(row, kind, error)
            else:
                _settle(row, "done", "")
        text = alert.json()
        for row in job:
            row["alert"] = text
        return alert

    async def _tell(self, job: list[Row], alert: Alert) -> None:
        """Show subscribers the alert, once its actions are written down; at least once."""
        for row in job:
            if row["state"] == "wait" and kind_of(row) == TELL:
                row["attempts"] += 1
                try:
                    await self._host.tell(alert)
                except MoteyeError as error:
                    self._failed(row, TELL, error)
                else:
                    _settle(row, "done", "")
                await self._host.delivered([row], at_once=False)

    def _failed(self, row: Row, kind: str, error: MoteyeError) -> None:
        known = error if isinstance(error, ActionError) else ActionError(str(error))
        if known.unknown and kind in AT_MOST_ONCE:
            _settle(row, "unknown", str(error))
        elif kind in TRIED_ONCE or known.permanent or row["attempts"] >= MOST_ATTEMPTS:
            _settle(row, "dead", str(error))
        else:
            longest_s = min(RETRY_CAP_S, RETRY_BASE_S * 2 ** (row["attempts"] - 1))
            delay_s = max(longest_s * (0.5 + self._jitter() / 2), known.retry_after_s or 0.0)
            row["state"] = "wait"
            row["due_ms"] = self._now_ms() + int(1000 * delay_s)
            row["error"] = str(error)
        log.error(
            "action failed",
            policy=row["policy"],
            action=kind,
            reason=str(error),
            state=row["state"],
        )


def _waits(job: list[Row]) -> bool:
    return any(row["state"] == "wait" for row in job)


def _is_meant(row: Row, what: str) -> bool:
    tag = f"{row['policy']}/{row['device']}"
    return what == tag or (len(what) >= 4 and str(row["decision"]).startswith(what))


def _settle_all(rows: list[Row], state: str, error: str) -> None:
    for row in rows:
        if row["state"] == "wait":
            _settle(row, state, error)


def action_of(row: Row) -> Action:
    """The action that a row asks for, as it was when the policy decided."""
    return _action_in(row["action"])


@lru_cache(1024)
def _action_in(text: str) -> Action:
    settings = json.loads(text)
    model = ACTIONS[settings["kind"]]
    return cast("Action", model.model_construct(**settings))


def _reached_anybody(job: list[Row]) -> bool:
    return any(row["state"] in ("done", "unknown") for row in job if kind_of(row) != TELL)


def _settle(row: Row, state: str, error: str) -> None:
    row["state"], row["error"] = state, error

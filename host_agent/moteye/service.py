"""The agent as the HTTP API sees it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from moteye import __version__
from moteye.core.decisions import Decision
from moteye.core.marks import Mark
from moteye.house import AgentHouse
from moteye.judge import Judge
from moteye.ledger import Ledger
from moteye.link.connection import Connection
from moteye.link.devices import Devices
from moteye.supervision import Supervisor

GIVEN_UP = ("dead", "unknown")


def storage_written_bytes(process: Path = Path("/proc/self")) -> int:
    """What this process made the disk write since its start; 0 where the system does not say.

    A memory card lasts for so many bytes (T56).
    """
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = (process / "io").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("write_bytes:")).split()[1])
    return 0


class AgentService:
    """Made of the agent's parts; see `moteye.api.app.Service`."""

    version = __version__

    def __init__(
        self,
        house: AgentHouse,
        ledger: Ledger,
        judge: Judge,
        devices: Devices,
        connection: Connection,
        *,
        counters: Mapping[str, int],
        outbox_counters: Mapping[str, int],
        acknowledge: Callable[[str], Awaitable[list[str]]],
        feedback: Callable[[dict[str, str]], Awaitable[Mark]],
        ready: asyncio.Event,
        supervisor: Supervisor,
    ) -> None:
        self._house = house
        self._ledger = ledger
        self._judge = judge
        self._devices = devices
        self._connection = connection
        self._counters = counters
        self._outbox_counters = outbox_counters
        self._acknowledge = acknowledge
        self._feedback = feedback
        self._ready = ready
        self._supervisor = supervisor

    @property
    def batches(self) -> int:
        """How many transactions there were."""
        return self._ledger.counters["batches"]

    async def decisions_after(
        self, cursor: int, *, policy: str | None, fired: bool, limit: int
    ) -> list[tuple[int, Decision]]:
        """The decisions behind a cursor. Raises StoreError."""
        return await self._ledger.ask(
            lambda store: store.decisions_after(cursor, policy=policy, fired=fired, limit=limit)
        )

    async def given_up(self, limit: int) -> list[Mapping[str, Any]]:
        """What was not delivered, without the actions' own texts. Raises StoreError."""
        shown = ("decision", "policy", "device", "fired_ms", "state", "attempts", "error")
        rows = await self._ledger.ask(lambda store: store.outbox(GIVEN_UP, limit=limit))
        return [{name: row[name] for name in shown} for row in rows]

    async def ask_again(self, decision: str, *, unknown: bool) -> int:
        """How many actions are tried again. Raises StoreError."""
        states = GIVEN_UP if unknown else ("dead",)
        return await self._ledger.ask(lambda store: store.ask_again(decision, states))

    async def acknowledge(self, what: str) -> list[str]:
        """The ids of the alerts whose escalation ends."""
        return await self._acknowledge(what)

    async def feedback(self, request: dict[str, str]) -> Mapping[str, Any]:
        """Take what somebody says of an alert. Raises FeedbackError, StoreError."""
        mark = await self._feedback(request)
        return {"mark": mark.number, "text": mark.text}

    def ready(self) -> str:
        """Nothing when it does its work, else what it waits for."""
        if not self._ready.is_set():
            return "starting"
        return "" if self._connection.connected.is_set() else "the broker is away"

    def stalled(self) -> str:
        """What stands still that should go on, or nothing."""
        return self._supervisor.stalled

    def cameras(self) -> list[Mapping[str, Any]]:
        """Every camera that is known."""
        return [asdict(view) for view in self._house.cameras()]

    def policies(self) -> dict[str, bool]:
        """Every policy, and whether it is on."""
        return self._house.agent().policies

    async def switch(self, policy: str, *, on: bool) -> bool:
        """Switch a policy; False where there is none of that name."""
        return await self._house.switch(policy, on=on)

    def install(self, camera: str) -> bool:
        """Bring the wanted prototype set onto a camera."""
        return self._house.install(camera)

    def counters(self) -> Mapping[str, Mapping[str, int]]:
        """Counters by part and name."""
        return {
            "agent": self._counters,
            "devices": self._devices.counters,
            "judge": self._judge.counters,
            "ledger": self._ledger.counters,
            "outbox": self._outbox_counters,
        }

    def gauges(self) -> Mapping[str, float]:
        """Gauges by name."""
        view = self._house.agent()
        return {
            "cameras_online": view.cameras_online,
            "inbox_waiting": self._judge.waiting,
            "actions_waiting": view.actions_waiting,
            "connected": float(self._connection.connected.is_set()),
            "storage_written_bytes": float(storage_written_bytes()),
        }

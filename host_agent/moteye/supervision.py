"""Whether the agent goes on with its work, and saying so to systemd.

The protocol is sd_notify(3): datagrams of `NAME=value` lines to the socket named by NOTIFY_SOCKET.
systemd ends and restarts a service whose WATCHDOG=1 stays away for longer than WATCHDOG_USEC.
"""

import asyncio
import os
import socket
import time
from collections.abc import Mapping

import structlog

from moteye.actions.outbox import Outbox
from moteye.judge import Judge
from moteye.ledger import Ledger

log = structlog.get_logger("moteye.supervision")
LOOK_S = 10.0  # without a watchdog; with one a third of its time
STORE_ANSWERS_S = 10.0
OUTBOX_TURNS_S = 30.0  # it turns every 10 s, also without anything to do


class ServiceManager:
    """systemd, where it runs us; else nobody, and nothing is said."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._place = environment.get("NOTIFY_SOCKET", "")
        meant = environment.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        usec = environment.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(usec) / 1e6 if self._place and meant and usec.isdigit() else 0.0

    def tell(self, *lines: str) -> None:
        """Send `NAME=value` lines. A manager that is not there, or does not read, is no error."""
        if not self._place:
            return
        # A name that begins with @ is of Linux's abstract namespace, written with a NUL.
        place = "\0" + self._place[1:] if self._place.startswith("@") else self._place
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            try:
                sender.sendto("\n".join(lines).encode(), place)
            except OSError as error:
                log.warning("the service manager was not told", reason=str(error))


class Supervisor:
    """Looks whether each part goes on; `stalled` is what stands still, or nothing.

    The loop runs where this runs; the store's thread has to answer; the judge has to have decided
    something where embeddings wait; the outbox has to turn. A broker that is away or a webhook that
    hangs is no standstill: a restart would not mend it. `await run()` until cancelled, once ready.
    """

    def __init__(
        self, judge: Judge, outbox: Outbox, ledger: Ledger, manager: ServiceManager | None = None
    ) -> None:
        self.stalled = ""
        self._judge = judge
        self._outbox = outbox
        self._ledger = ledger
        self._manager = manager or ServiceManager()
        self._judged = -1
        self._waited = False

    async def run(self) -> None:
        """Say that the agent is ready, and then, as long as it goes on, that it does."""
        manager = self._manager
        manager.tell("READY=1", "STATUS=at work")
        every_s = min(LOOK_S, manager.watchdog_s / 3) if manager.watchdog_s else LOOK_S
        try:
            while True:
                await self.look()
                if not self.stalled:
                    manager.tell("WATCHDOG=1")
                await asyncio.sleep(every_s)
        finally:
            manager.tell("STOPPING=1", "STATUS=finishing what is under way")

    async def look(self) -> None:
        """Look at each part once."""
        before, self.stalled = self.stalled, await self._standing()
        if self.stalled and self.stalled != before:
            log.error("the agent stands still", part=self.stalled)
            self._manager.tell(f"STATUS={self.stalled} stands still")
        elif before and not self.stalled:
            log.info("the agent goes on", part=before)
            self._manager.tell("STATUS=at work")

    async def _standing(self) -> str:
        try:
            async with asyncio.timeout(STORE_ANSWERS_S):
                await self._ledger.answers()
        except TimeoutError:
            return "the store"
        waited, judged = self._waited, self._judged
        self._waited, self._judged = self._judge.waiting > 0, self._judge.batches
        if waited and self._waited and judged == self._judged:
            return "the judge"
        if time.monotonic() - self._outbox.turned_s > OUTBOX_TURNS_S:
            return "the outbox"
        return ""

"""Decisions as CloudEvents, and the stream of them with a cursor that survives restarts."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Protocol

from moteye.core.decisions import Decision
from moteye.core.scoring import probability_of

ALERT, SUPPRESSED = "dev.moteye.alert", "dev.moteye.suppressed"
LOOK_S = 0.2
KEEPALIVE_S = 15.0
PAGE = 200


class History(Protocol):
    """Where decisions are read. `batches` grows whenever something was written."""

    @property
    def batches(self) -> int:
        """How many transactions there were."""

    async def decisions_after(
        self, cursor: int, *, policy: str | None, fired: bool, limit: int
    ) -> list[tuple[int, Decision]]:
        """The decisions behind a cursor in the order of their making. Raises StoreError."""


def event_of(cursor: int, decision: Decision) -> dict[str, Any]:
    """The CloudEvents envelope of a decision; `cursor` is its place in the order of all."""
    moment = datetime.fromtimestamp(decision.time_ms / 1000, UTC)
    probability = probability_of(decision.margin_q8)
    return {
        "specversion": "1.0",
        "id": decision.id,
        "source": f"/moteye/{decision.device}",
        "type": ALERT if decision.fired else SUPPRESSED,
        "subject": decision.policy,
        "time": moment.isoformat(timespec="milliseconds"),
        "datacontenttype": "application/json",
        "cursor": str(cursor),
        "data": {
            "policy": decision.policy,
            "camera": decision.device,
            "phrase": decision.phrase,
            "probability": round(probability, 3),
            "margin": round(decision.margin_q8 / 256, 3),
            "threshold": round(decision.threshold_q8 / 256, 3),
            "frame": decision.frame,
            "reason": decision.reason,
            "gates": [asdict(gate) for gate in decision.gates],
        },
    }


async def stream(
    history: History,
    cursor: int,
    *,
    policy: str | None,
    fired: bool,
    follow: bool,
    longest_s: float,
    gone: Callable[[], Awaitable[bool]],
) -> AsyncIterator[str]:
    """Server-sent events from behind `cursor` on, until the listener is gone or `longest_s`."""
    began = quiet_since = time.monotonic()
    seen = -1
    yield "retry: 2000\n\n"
    while True:
        if history.batches != seen:
            seen = history.batches
            while found := await history.decisions_after(
                cursor, policy=policy, fired=fired, limit=PAGE
            ):
                for cursor, decision in found:
                    event = event_of(cursor, decision)
                    text = json.dumps(event, ensure_ascii=False)
                    yield f"id: {cursor}\nevent: {event['type']}\ndata: {text}\n\n"
                quiet_since = time.monotonic()
        if not follow or time.monotonic() - began >= longest_s or await gone():
            return
        if time.monotonic() - quiet_since > KEEPALIVE_S:
            quiet_since = time.monotonic()
            yield ": still here\n\n"
        await asyncio.sleep(LOOK_S)

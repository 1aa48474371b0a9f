"""From embeddings to decisions, batch by batch.

embedding ─▶ inbox ─▶ Scorer ─▶ Engine ─▶ Ledger (one transaction) ─▶ acknowledged ─▶ Outbox

All that arrived while the last transaction ran is the next batch.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
from moteye_protocol import models

from moteye.actions.rows import rows_at_end, rows_for
from moteye.core.background import CameraCalibration, Reservoir
from moteye.core.boxes import boxes_text
from moteye.core.cameras import Cameras
from moteye.core.compile import CompiledSet
from moteye.core.engine import Decision, Engine, Observation
from moteye.core.hearing import Caption
from moteye.core.language import Policy
from moteye.endings import finished
from moteye.ledger import Ledger
from moteye.link.connection import Ack
from moteye.listening import Listener
from moteye.store import Background

log = structlog.get_logger("moteye.judge")
INBOX_LIMIT = 2048
MOST_A_BATCH = 256  # so that nothing else waits long: pings, acknowledgements, actions
FIT_PAUSE_S = 0.05
FEW, PAUSE_S = 16, 0.003  # behind a batch, fewer frames than this wait so long for company


@dataclass(frozen=True, slots=True)
class Item:
    """An embedding that waits to be judged; `ack` tells the broker that it is written down."""

    seen: Observation
    message: models.Embedding
    ack: Ack


@dataclass(frozen=True, slots=True)
class CaptionItem:
    """A caption that waits to be judged."""

    seen: Caption
    message: models.Caption
    ack: Ack


class Judge:
    """Decides on what has arrived. `put` embeddings in their order; `await run()` until cancelled.

    `compiled` is what policies there are; `deliver` takes the outbox rows of decisions once they
    are written down; captions go to the `listener`. `batches` counts.
    """

    def __init__(
        self, engine: Engine, ledger: Ledger, deliver: Callable[[list[dict[str, Any]]], None]
    ) -> None:
        self.compiled: CompiledSet | None = None
        self.counters: Counter[str] = Counter()
        self.cameras = Cameras()
        self.batches = 0
        self.learns = True
        self.listener = Listener(engine, ledger)
        ledger.forget_camera = self.forget
        self._engine = engine
        self._ledger = ledger
        self._deliver = deliver
        self._inbox: deque[Item | CaptionItem] = deque()
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._judged_s = self._fit_s = 0.0

    @property
    def waiting(self) -> int:
        """How many embeddings wait for the next batch."""
        return len(self._inbox)

    async def put(self, item: Item | CaptionItem) -> None:
        """Take an embedding, or a caption.

        In a full inbox the oldest heartbeat makes room and is counted; without any the caller
        waits, which holds the broker back, so that no event is lost.
        """
        while len(self._inbox) >= INBOX_LIMIT and not self._drop_heartbeat():
            self.counters["inbox.held"] += 1
            self._room.clear()
            await self._room.wait()
        self._inbox.append(item)
        self._filled.set()

    def _drop_heartbeat(self) -> bool:
        for index, item in enumerate(self._inbox):
            if item.message.why == "heartbeat":
                del self._inbox[index]
                item.ack()
                self.counters["inbox.dropped"] += 1
                return True
        return False

    async def run(self) -> None:
        """Judge whatever arrives, until cancelled; what has arrived by then is still judged."""
        try:
            while True:
                await self._filled.wait()
                await self._gather()
                await finished(self.judge(self._next()))
                self._judged_s = time.monotonic()
        except asyncio.CancelledError:
            left = len(self._inbox)
            while left > 0:
                items = self._next()
                left -= len(items)
                await self.judge(items)
            raise

    async def _gather(self) -> None:
        """Where frame follows on frame, take several together: each batch is a transaction."""
        pause_s = self._judged_s + PAUSE_S - time.monotonic()
        if pause_s > 0 and len(self._inbox) < FEW:
            await asyncio.sleep(pause_s)

    def _next(self) -> list[Item | CaptionItem]:
        items = [self._inbox.popleft() for _ in range(min(MOST_A_BATCH, len(self._inbox)))]
        if not self._inbox:
            self._filled.clear()
        self._room.set()
        return items

    async def judge(self, items: Sequence[Item | CaptionItem]) -> list[Decision]:
        """Score a batch in one product; write it all down; then acknowledge and act."""
        new = [item for item in items if self._ledger.is_new(item.seen)]
        decisions = self._decide_in_turn(new)
        rows = self._actions_of(decisions)
        await self._ledger.commit(decisions, rows)
        for item in items:
            item.ack()
        self._deliver(rows)
        _log_suppressed(decisions)
        self.batches += 1
        return decisions

    def _decide_in_turn(self, items: list[Item | CaptionItem]) -> list[Decision]:
        """Decide on frames and captions in the order in which they came."""
        decisions: list[Decision] = []
        frames: list[Item] = []
        for item in items:
            if isinstance(item, Item):
                frames.append(item)
                continue
            decisions += self._decide(frames)
            frames = []
            asked = item.message.why == "asked"
            decisions += self.listener.hear(item.seen, self.compiled, asked=asked)
        return decisions + self._decide(frames)

    def _decide(self, items: list[Item]) -> list[Decision]:
        compiled = self.compiled
        for item in items:
            message, boxes = item.message, item.seen.boxes
            told = None
            if boxes is not None and compiled is not None:
                told = boxes_text(boxes, compiled.built.prototypes.names)
            self._ledger.saw(item.seen, message.encoder, message.e, message.colour, told)
        if compiled is None or not items:
            return []
        vectors = np.frombuffer(b"".join(item.message.e for item in items), np.int8)
        encoders = [item.message.encoder for item in items]
        margins = compiled.margins_q8(vectors.reshape(len(items), -1), encoders)
        found = self._engine.observe_batch([item.seen for item in items], margins)
        decisions = [decision for some in found for decision in some]
        self._learn_backgrounds(items, compiled)
        return decisions

    def _learn_backgrounds(self, items: list[Item], compiled: CompiledSet) -> None:
        """Each camera's frames are its background; now and then its calibration is fitted anew."""
        if not self.learns:
            return
        frames = ((item.seen.device, item.message.e, item.message.encoder) for item in items)
        self.cameras.saw(frames, width=compiled.scorer.dim)
        now_s = time.monotonic()
        # One now and then: cameras that began together are due together, and alerts would wait.
        due = self.cameras.take_due() if now_s >= self._fit_s else None
        if due is not None:
            self._fit_s = now_s + FIT_PAUSE_S
            self._calibrate(due, compiled)

    def restore(self, found: dict[str, Background]) -> None:
        """Go on with the backgrounds of an earlier run; policies are in force already."""
        dim = self.compiled.scorer.dim if self.compiled is not None else 0
        for device, row in found.items():
            self.cameras.encoders[device] = row.encoder
            self._engine.views.encoder_is(device, row.encoder)
            frames = np.frombuffer(row.frames, np.int8).reshape(-1, row.width)
            if row.width >= dim > 0:  # else decisions use more entries by now than were kept
                kept = bytearray(frames[:, :dim].tobytes())
                self.cameras.reservoirs[device] = Reservoir(row.seen, dim, kept)
            self._engine.calibrate(CameraCalibration.of_json(row.calibration))
        self.phrases_changed()

    def forget(self, device: str) -> None:
        """A camera is gone: what it usually shows, and what it said, are forgotten."""
        self.cameras.forget(device)
        self.listener.last.pop(device, None)
        self._ledger.camera_is_gone(device)

    def phrases_changed(self) -> None:
        """Cameras that were fitted to other phrases than there are now are due, one now and then.

        Until then the phrases that stayed keep their maps, and those that came have none.
        """
        if self.compiled is None:
            return
        for device, calibration in self._engine.calibrations.all.items():
            own = self.compiled.of(self.cameras.encoders.get(device, b""))
            names = own.built.prototypes.names
            if calibration.phrases != names and device in self.cameras.reservoirs:
                self.cameras.due[device] = None

    def _calibrate(self, device: str, compiled: CompiledSet) -> None:
        """Fit the calibration of a camera to the phrases that there are."""
        before = self._engine.calibrations.all.get(device)
        version = before.version + 1 if before else 1
        fitted = self.cameras.fit(device, compiled, version)
        reservoir = self.cameras.reservoirs[device]
        encoder = compiled.of(self.cameras.encoders.get(device, b"")).encoder
        frames = bytes(reservoir.data)
        row = Background(encoder, reservoir.seen, frames, fitted.json(), reservoir.width)
        self._ledger.calibrate(fitted, row)
        log.info("camera calibrated", camera=device, frames=fitted.frames, version=version)

    def _actions_of(self, decisions: list[Decision]) -> list[dict[str, Any]]:
        """Outbox rows of decisions, and of the episodes that ended with the same batch."""
        rows: list[dict[str, Any]] = []
        for decision in decisions:
            policy = self.policy(decision.policy) if decision.fired else None
            if policy is not None:
                said = self.listener.at(decision.device, decision.time_ms)
                rows += rows_for(decision, policy, self._engine.ahead_ms, said)
        for ending in self._engine.take_ended():
            policy = self.policy(ending.policy)
            if policy is not None:
                said = self.listener.at(ending.device, ending.time_ms)
                rows += rows_at_end(ending, policy, said)
        return rows

    def policy(self, name: str) -> Policy | None:
        """The policy of that name, if it is in force."""
        return self.compiled.by_name.get(name) if self.compiled else None


def _log_suppressed(decisions: list[Decision]) -> None:
    """Say what was seen and alerts nobody; near misses are for `moteye why` alone."""
    bound = log.bind() if decisions else None  # once: the lazy logger is set up at each call
    for decision in decisions:
        if bound is not None and not (decision.fired or decision.near_miss):
            bound.info(
                "suppressed",
                policy=decision.policy,
                camera=decision.device,
                phrase=decision.phrase,
                reason=decision.reason,
            )

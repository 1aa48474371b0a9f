"""The agent's memory: what the engine has seen and decided, kept in step with the store.

A batch of events, what it changed, the decisions and the actions they ask for are one
transaction. When the store fails, alerts go on without it, and the next batch tries again.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import structlog

from moteye.core.background import CameraCalibration
from moteye.core.decisions import Decision
from moteye.core.engine import Engine, Observation
from moteye.core.hearing import Caption
from moteye.core.marks import Mark
from moteye.core.presence import Presence
from moteye.errors import StoreError
from moteye.store import MEMORY, Background, Batch, RecordedEvent, Store
from moteye.taken import LAG_FRAMES, Taken

log = structlog.get_logger("moteye.ledger")
T = TypeVar("T")
HOUSEKEEPING_S = 600.0
SHARED_S = 0.02
KEPT_ROWS = 10_000  # events, decisions and actions that wait for a store that fails


class Ledger:
    """Durable state of one agent. `await open()` first, `await close()` last.

    `record_days` and `record_bytes` bound the recording of events.
    """

    def __init__(self, url: str, engine: Engine, *, record_days: float, record_bytes: int) -> None:
        self.counters: Counter[str] = Counter()
        self._url = url
        self._engine = engine
        self._record_ms = int(record_days * 86_400_000)
        self._record_bytes = record_bytes
        self._store: Store | None = None
        # SQLite is written by one thread, one transaction after the other.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="store")
        # Whoever knows more of a camera than the ledger forgets that, too.
        self.forget_camera: Callable[[str], None] = self.camera_is_gone
        self._heard_ms: dict[str, int] = {}
        self._taken = Taken()
        self._ends = False
        self._batch = Batch()
        self._is_writing = False
        self._waiting: list[asyncio.Future[None]] = []  # for the transaction after this one
        self._hurries = False  # one of them wants that at once
        self._later: asyncio.TimerHandle | None = None

    async def open(self) -> list[dict[str, Any]]:
        """Open the store, go on where the last run ended; returns the outbox rows that wait.

        Policies must be in force already: tracks of others are forgotten.
        """
        store = self._store = await self._on_worker(self._opened)
        try:
            tracks = await self._on_worker(store.tracks)
            devices = await self._on_worker(store.devices)
            latest = await self._on_worker(lambda: store.latest_frames(2 * LAG_FRAMES))
            await self._on_worker(store.settle_interrupted)
            waiting = await self._on_worker(store.waiting)
            memories = await self._on_worker(store.memories)
            marks = await self._on_worker(store.marks)
        except StoreError as error:
            self._degraded(error)
            tracks, devices, latest, waiting, memories, marks = {}, {}, [], [], {}, []
        known = self._engine.fingerprints
        self._engine.restore({key: track for key, track in tracks.items() if key[0] in known})
        self._engine.novelty.restore(memories)
        self._engine.marks.restore(marks)
        self._engine.start()
        self._taken.restore(devices, latest)
        self._batch.events.append(RecordedEvent("s", time_ms=int(time.time() * 1000)))
        self._record_policies()
        return waiting

    def _record_policies(self) -> None:
        event = RecordedEvent("p", time_ms=int(time.time() * 1000), data=self._engine.in_force)
        self._batch.events.append(event)

    async def close(self) -> None:
        """Write what is left and close."""
        self._ends = True
        await self.commit()
        if self._store is not None:
            await self._on_worker(self._store.close)
        self._worker.shutdown()

    async def policies_changed(self) -> None:
        """Record which policies are in force; forget the tracks of those that are gone."""
        if self._store is None:
            return
        self._record_policies()
        known = self._engine.fingerprints
        store = self._store
        try:
            await self._on_worker(lambda: store.keep_tracks(known))
        except StoreError as error:
            self._degraded(error)

    def clock_offsets(self) -> Iterator[tuple[str, int, int]]:
        """(device, session, offset in ms) of the last run, for `Presence.resume`."""
        return self._taken.clock_offsets()

    def time_of(self, device: str, presence: Presence, up_ms: int, arrival_ms: int) -> int:
        """Host time of a moment in device time."""
        time_ms = presence.event_time_ms(up_ms, arrival_ms)
        self._taken.offset_is(device, presence.clock_offset_ms)
        return time_ms

    def is_new(self, seen: Observation) -> bool:
        """Whether an embedding was not taken yet, by this run or by the one before."""
        if self._taken.take(seen):
            return True
        self.counters["embedding.twin"] += 1
        return False

    def saw(
        self,
        seen: Observation,
        encoder: bytes,
        embedding: bytes,
        colour: int | None = None,
        boxes: bytes | None = None,
    ) -> None:
        """Record one event of the next batch, in the order in which the engine sees it."""
        self._batch.events.append(
            RecordedEvent(
                "l" if seen.late else "e",
                seen.device,
                seen.session,
                seen.number,
                seen.frame,
                seen.time_ms,
                encoder,
                embedding,
                -1 if colour is None else colour,
                boxes,
            )
        )

    def heard(self, caption: Caption) -> None:
        """Record a caption of the next batch, in the order in which the engine hears it."""
        where = (caption.device, caption.session, caption.number, caption.frame, caption.time_ms)
        kind, text = "o" if caption.late else "t", caption.text.encode()
        event = RecordedEvent(kind, *where, caption.encoder, text, boxes=caption.embedding)
        self._batch.events.append(event)

    def release(self, policy: str, device: str, fired_ms: int) -> None:
        """No action of an alert was delivered: give its cooldown back, and record that."""
        self._engine.release(policy, device, fired_ms)
        event = RecordedEvent("r", device, time_ms=fired_ms, data=policy.encode())
        self._batch.events.append(event)

    def calibrate(self, calibration: CameraCalibration, background: Background) -> None:
        """A camera's margins are taken by its own background from the next frame on."""
        self._engine.calibrate(calibration)
        self._record("c", calibration.device, calibration.json())
        self._batch.backgrounds[calibration.device] = background

    def camera_is_gone(self, device: str) -> None:
        """What a camera usually shows is forgotten, here and in the store."""
        self._engine.calibrations.forget(device)
        self._record("g", device, b"")
        self._batch.backgrounds.pop(device, None)
        self._batch.gone.add(device)

    def mark(self, mark: Mark) -> None:
        """Somebody said something of an alert, or took it back; it counts from the next frame."""
        self._engine.mark(mark)
        self._record("k", mark.device, mark.json())
        self._batch.marks[mark.number] = mark

    def _record(self, kind: str, device: str, data: bytes) -> None:
        now_ms = int(time.time() * 1000)
        self._batch.events.append(RecordedEvent(kind, device, time_ms=now_ms, data=data))

    async def ask(self, question: Callable[[Store], T]) -> T:
        """Ask the store something, in its turn. Raises StoreError."""
        store = self._store
        if store is None:
            raise StoreError("the store is not open")
        return await self._on_worker(lambda: question(store))

    async def answers(self) -> None:
        """Returns when the store's thread has done all that it was given before."""
        await self._on_worker(lambda: None)

    def wall_was_set(self, ahead_ms: int, time_ms: int) -> None:
        """The wall clock is `ahead_ms` ahead of the events' from now on (T19); recorded."""
        self._engine.ahead_ms = ahead_ms
        event = RecordedEvent("w", time_ms=time_ms, data=str(ahead_ms).encode())
        self._batch.events.append(event)

    def tell(self, topic: str, text: str, time_ms: int) -> None:
        """A message on a topic that a `while:` asks for; recorded where it is news."""
        if self._engine.tell(topic, text):
            self._batch.events.append(
                RecordedEvent("f", topic, time_ms=time_ms, data=text.encode())
            )

    async def commit(
        self,
        decisions: Iterable[Decision] = (),
        outbox: Iterable[dict[str, Any]] = (),
        *,
        at_once: bool = True,
    ) -> None:
        """Write all that happened since the last commit, with `decisions` and `outbox`.

        Whoever asks while a transaction is under way shares the next one, however many they are;
        what need not be written `at_once` waits SHARED_S for one that must.
        """
        self._batch.decisions += decisions
        self._batch.outbox += [dict(row) for row in outbox]
        written = asyncio.get_running_loop().create_future()
        self._waiting.append(written)
        self._hurries |= at_once
        if not self._is_writing:
            self._go_on_writing()
        await written

    def _go_on_writing(self) -> None:
        """Begin the next transaction at once or a little later, as those who wait for it want."""
        if self._hurries:
            self._write_next()
        elif self._waiting and self._later is None:
            self._later = asyncio.get_running_loop().call_later(SHARED_S, self._write_now)

    def _write_now(self) -> None:
        self._later, self._hurries = None, True
        if not self._is_writing:
            self._write_next()

    def _write_next(self) -> None:
        """Begin a transaction with all that there is; whoever waits is called at its end.

        By callbacks rather than a task: an alert waits for this, behind all else that is ready.
        """
        waiting, self._waiting = self._waiting, []
        self._hurries = False
        if self._later is not None:
            self._later.cancel()
            self._later = None
        batch = self._all_waiting()
        if not batch or self._store is None:
            _tell_written(waiting)
            return
        self._is_writing = True
        loop = asyncio.get_running_loop()
        writing = loop.run_in_executor(self._worker, self._written, batch)
        writing.add_done_callback(lambda done: self._wrote(batch, waiting, done))

    def _wrote(
        self, batch: Batch, waiting: list[asyncio.Future[None]], done: asyncio.Future[None]
    ) -> None:
        self._is_writing = False
        error = done.exception()
        if error is None:
            self.counters["batches"] += 1
        elif isinstance(error, StoreError):
            self._degraded(error)
            self._keep(batch)
            error = None
        _tell_written(waiting, error)
        if not self._is_writing:
            self._go_on_writing()

    def _all_waiting(self) -> Batch:
        """All that is to be written, as it is at this moment."""
        batch, self._batch = self._batch, Batch()
        batch.tracks.update(self._engine.take_changed())
        batch.memories.update(self._engine.novelty.take_changed())
        batch.devices.update(self._taken.rows(self._engine.ahead_ms, every=self._ends))
        now_ms = int(time.time() * 1000)
        self._heard_ms.update(dict.fromkeys(batch.devices, now_ms))
        return batch

    async def delivered(self, rows: list[dict[str, Any]], *, at_once: bool = True) -> None:
        """Write what became of outbox rows."""
        await self.commit(outbox=rows, at_once=at_once)

    async def asked_again(self) -> list[dict[str, Any]]:
        """Outbox rows that a person asked to try again since the last look."""
        if self._store is None:
            return []
        try:
            return await self._on_worker(self._store.asked_again)
        except StoreError as error:
            self._degraded(error)
            return []

    async def keep_house(self) -> None:
        """Retention and log size, now and then, until cancelled."""
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            try:
                await self.tidy(int(time.time() * 1000))
            except StoreError as error:
                self._degraded(error)

    async def tidy(self, now_ms: int) -> None:
        """Drop what is too old or too much, and fold the log into the file. Raises StoreError."""
        before_ms, most_bytes = now_ms - self._record_ms, self._record_bytes
        dropped = await self.ask(
            lambda store: store.prune(before_ms=before_ms, most_bytes=most_bytes)
        )
        policies = {compiled.policy.name for compiled in self._engine.policies}
        memories = self._engine.memories_kept
        forgotten, marks = await self.ask(
            lambda store: store.forget(policies=policies, memories=memories, before_ms=before_ms)
        )
        self._engine.novelty.forget(forgotten)
        self._engine.marks.forget(marks)
        gone = [
            device
            for device in await self.ask(lambda store: store.unseen())
            if self._heard_ms.get(device, 0) < before_ms
        ]
        for device in gone:
            self.forget_camera(device)
        if gone:
            await self.commit()
        await self.ask(lambda store: store.checkpoint())
        if dropped or forgotten or marks:
            log.info("tidied", events=dropped, memories=len(forgotten), marks=len(marks))
        if gone:
            log.info("backgrounds of cameras that are long gone were dropped", cameras=gone)

    def _opened(self) -> Store:
        try:
            return Store(self._url)
        except StoreError as error:
            self._degraded(error)
            return Store(MEMORY)

    def _written(self, batch: Batch) -> None:
        store = self._store
        assert store is not None
        try:
            store.commit(batch)
        except StoreError:
            if store.recover():  # a broken file was put aside: the fresh one gets all tracks
                batch.tracks = {**self._engine.lasting(), **batch.tracks}
                batch.memories = dict(self._engine.novelty.memories)
                batch.marks = dict(self._engine.marks.all)
            store.commit(batch)

    def _keep(self, batch: Batch) -> None:
        """All of it waits for the next batch; of what is too much the oldest events are a gap."""
        later = self._batch
        later.tracks = {**batch.tracks, **later.tracks}
        later.memories = {**batch.memories, **later.memories}
        later.marks = {**batch.marks, **later.marks}
        kept = {name: one for name, one in batch.backgrounds.items() if name not in later.gone}
        later.backgrounds = {**kept, **later.backgrounds}
        later.gone |= batch.gone
        later.devices = {**batch.devices, **later.devices}
        later.decisions = (batch.decisions + later.decisions)[-KEPT_ROWS:]
        later.outbox = (batch.outbox + later.outbox)[-KEPT_ROWS:]
        events = batch.events + later.events
        later.events = events[-KEPT_ROWS:]
        self.counters["events.not_recorded"] += len(events) - len(later.events)

    def _degraded(self, error: StoreError) -> None:
        self.counters["store.failed"] += 1
        if self.counters["store.failed"] == 1:
            log.error("the store fails; alerts go on without it", reason=str(error))

    async def _on_worker(self, work: Callable[[], T]) -> T:
        # Shielded: what is half said when the agent is told to stop is still written.
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._worker, work))


def _tell_written(waiting: list[asyncio.Future[None]], error: BaseException | None = None) -> None:
    for one in waiting:
        if one.done():  # who waited was cancelled; it is written all the same
            continue
        if error is None:
            one.set_result(None)
        else:
            one.set_exception(error)

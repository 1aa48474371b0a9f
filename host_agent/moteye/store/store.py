"""What is written and read: a batch is one transaction.

All methods block; call them from one thread at a time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple
from functools import partial
from typing import Any

import orjson
import sqlalchemy as sa

from moteye.core.decisions import Decision
from moteye.core.marks import Mark
from moteye.core.memory import Memory
from moteye.core.track import Track
from moteye.errors import StoreError
from moteye.store import schema
from moteye.store.database import Database, reason_of
from moteye.store.records import (
    CAPTIONS,
    DECISION,
    EVENT,
    FRAMES,
    Background,
    Batch,
    RecordedEvent,
    decision_of,
    decision_row,
    event_row,
    state_text,
)
from moteye.store.rows import insert

EVENT_BYTES = 400  # what a recorded event takes on disk, indices and all (measured: 366)
DECISION_BYTES = 450  # what a decision with its gates takes (measured: 441)
_PAGE = 4096
_TRACK = ("fingerprint", "device", "state")
_MEMORY = ("memory", "place", "state")
_BACKGROUND = ("device", "encoder", "seen", "frames", "calibration", "width")
_MARK = ("number", "mark")
_DEVICE = ("device", "session", "numbers", "clock_offset_ms")
_OUTBOX = tuple(column.name for column in schema.outbox.columns)
_EVENT_COLUMNS = [schema.events.c[name] for name in EVENT]


class Store(Database):
    """Opens, and where a SQLite file is broken puts it aside and begins a fresh one.

    `url`: sqlite:///path, postgresql://…, or a bare path. Raises StoreError when it cannot open.
    """

    def commit(self, batch: Batch) -> None:
        """Write all of `batch`, or raise StoreError and write nothing of it."""
        try:
            with self._engine.begin() as connection:
                self._write(connection, batch)
        except (sa.exc.SQLAlchemyError, self._driver_error) as error:
            raise StoreError(f"{self._shown}: {reason_of(error)}") from error

    def tracks(self) -> dict[tuple[str, str], Track]:
        """All tracks, by (fingerprint, device)."""
        rows = self._all(sa.select(schema.tracks))
        return {(r.fingerprint, r.device): Track.of_plain(orjson.loads(r.state)) for r in rows}

    def memories(self) -> dict[tuple[str, str], Memory]:
        """All memories, by (memory, place)."""
        rows = self._all(sa.select(schema.memories))
        return {(r.memory, r.place): Memory.of_plain(orjson.loads(r.state)) for r in rows}

    def backgrounds(self, encoder: bytes) -> dict[str, Background]:
        """The backgrounds of all cameras whose frames that encoder made."""
        table = schema.backgrounds
        rows = self._all(sa.select(table).where(table.c.encoder == encoder))
        return {
            r.device: Background(r.encoder, r.seen, r.frames, r.calibration, r.width) for r in rows
        }

    def marks(self) -> list[Mark]:
        """All that was said of alerts, in order, undone or not."""
        table = schema.marks
        return [Mark.of_json(r.mark) for r in self._all(sa.select(table).order_by(table.c.number))]

    def standing_at(self, time_ms: int) -> list[RecordedEvent]:
        """What held at a moment because of what was recorded before it, for a replay from there.

        The last calibration of each camera and all that people said; of the run that was under way
        the last message of each topic and how far the wall clock was ahead.
        """
        table = schema.events
        before = sa.select(*_EVENT_COLUMNS).where(table.c.time_ms < time_ms)
        began = sa.select(sa.func.max(table.c.seq)).where(
            table.c.kind == "s", table.c.time_ms < time_ms
        )
        since = self._all(began)[0][0] or 0
        lasting = before.where(table.c.kind.in_(("c", "g", "k")))
        passing = before.where(table.c.kind.in_(("f", "w")), table.c.seq > since)
        last: dict[tuple[str, str, bytes], RecordedEvent] = {}
        for query in (lasting, passing):
            for row in self._all(query.order_by(table.c.seq)):
                event = RecordedEvent(*row)
                said = event.data if event.kind == "k" else b""
                last[event.kind, event.device, said] = event
                if event.kind == "g":
                    last.pop(("c", event.device, b""), None)
        return [event for event in last.values() if event.kind != "g"]

    def keep_tracks(self, fingerprints: set[str]) -> None:
        """Forget the tracks of all other policies."""
        gone = schema.tracks.c.fingerprint.not_in(sorted(fingerprints))
        self._execute(sa.delete(schema.tracks).where(gone))

    def devices(self) -> dict[str, tuple[int, str, int | None]]:
        """(session, window of the numbers taken lately as text, clock offset) of every device."""
        rows = self._all(sa.select(schema.devices))
        return {r.device: (r.session, r.numbers, r.clock_offset_ms) for r in rows}

    def latest_frames(self, most: int) -> list[tuple[str, int, int]]:
        """(device, session, number) of the frames and captions recorded last, oldest first."""
        table = schema.events
        query = sa.select(table.c.device, table.c.session, table.c.number)
        query = query.where(table.c.kind.in_((*FRAMES, *CAPTIONS))).order_by(table.c.seq.desc())
        return [(row[0], row[1], row[2]) for row in reversed(self._all(query.limit(most)))]

    def settle_interrupted(self) -> None:
        """What an earlier run had begun and not ended is `unknown` from here on (decision 9)."""
        table = schema.outbox
        self._execute(
            sa.update(table)
            .where(table.c.state == "begun")
            .values(state="unknown", error="the agent ended in the middle of it")
        )
        self._execute(sa.update(table).where(table.c.state == "again").values(state="wait"))

    def waiting(self) -> list[dict[str, Any]]:
        """Outbox rows of every alert with something still to be done, oldest first."""
        table = schema.outbox
        jobs = sa.select(table.c.job).where(table.c.state == "wait")
        query = sa.select(table).where(table.c.job.in_(jobs))
        rows = self._all(query.order_by(table.c.due_ms, table.c.job, table.c.position))
        return [dict(row._mapping) for row in rows]

    def outbox(self, states: Iterable[str], *, limit: int | None = None) -> list[dict[str, Any]]:
        """Outbox rows in one of `states`, oldest first; `limit` keeps the latest."""
        table = schema.outbox
        query = sa.select(table).where(table.c.state.in_(list(states)))
        query = query.order_by(table.c.fired_ms.desc(), table.c.job, table.c.position.desc())
        rows = self._all(query.limit(limit) if limit else query)
        return [dict(row._mapping) for row in reversed(rows)]

    def ask_again(self, prefix: str, states: Iterable[str]) -> int:
        """Ask for another attempt at rows in one of `states` whose decision begins so; how many."""
        table = schema.outbox
        return self._execute(
            sa.update(table)
            .where(table.c.decision.startswith(prefix, autoescape=True))
            .where(table.c.state.in_(list(states)))
            .values(state="again", attempts=1, due_ms=0, error="")
        )

    def asked_again(self) -> list[dict[str, Any]]:
        """Take the rows that somebody asked to try again: they wait from here on."""
        rows = self.outbox(["again"])
        if rows:
            keys = [(row["job"], row["position"]) for row in rows]
            table = schema.outbox
            place = sa.tuple_(table.c.job, table.c.position).in_(keys)
            self._execute(sa.update(table).where(place).values(state="wait"))
        return [{**row, "state": "wait"} for row in rows]

    def outcome(self, rows: list[dict[str, Any]]) -> None:
        """Write what became of outbox rows."""
        batch = Batch(outbox=rows)
        self.commit(batch)

    def outbox_of(self, decision: Decision) -> list[dict[str, Any]]:
        """What became of the actions of one decision."""
        table = schema.outbox
        query = sa.select(table).where(
            table.c.decision == decision.id, table.c.fired_ms == decision.time_ms
        )
        return [dict(row._mapping) for row in self._all(query.order_by(table.c.position))]

    def decisions(
        self,
        *,
        since_ms: int = 0,
        until_ms: int | None = None,
        policy: str | None = None,
        prefix: str | None = None,
        limit: int | None = None,
    ) -> list[Decision]:
        """Decisions on record in the order of their making; `limit` keeps the latest."""
        table = schema.decisions
        query = sa.select(table).where(table.c.time_ms >= since_ms)
        if until_ms is not None:
            query = query.where(table.c.time_ms <= until_ms)
        if policy is not None:
            query = query.where(table.c.policy == policy)
        if prefix is not None:
            query = query.where(table.c.id.startswith(prefix, autoescape=True))
        query = query.order_by(table.c.seq.desc())
        rows = self._all(query.limit(limit) if limit else query)
        return [decision_of(row) for row in reversed(rows)]

    def decisions_after(
        self, cursor: int, *, policy: str | None, fired: bool, limit: int
    ) -> list[tuple[int, Decision]]:
        """Decisions behind a cursor in the order of their making, each with its own cursor."""
        table = schema.decisions
        query = sa.select(table).where(table.c.seq > cursor)
        if policy is not None:
            query = query.where(table.c.policy == policy)
        if fired:
            query = query.where(table.c.fired.is_(True))
        rows = self._all(query.order_by(table.c.seq).limit(limit))
        return [(row.seq, decision_of(row)) for row in rows]

    def events(self, *, since_ms: int = 0, until_ms: int | None = None) -> Iterator[RecordedEvent]:
        """The recording in the order in which the engine saw it, page by page (short reads)."""
        table, last = schema.events, 0
        while True:
            query = sa.select(table.c.seq, *_EVENT_COLUMNS).where(table.c.seq > last)
            query = query.where(table.c.time_ms >= since_ms)
            if until_ms is not None:
                query = query.where(table.c.time_ms <= until_ms)
            rows = self._all(query.order_by(table.c.seq).limit(_PAGE))
            for row in rows:
                yield RecordedEvent(*row[1:])
            if len(rows) < _PAGE:
                return
            last = rows[-1].seq

    def frame_of(self, decision: Decision) -> RecordedEvent | None:
        """The recorded frame or caption that a decision was made on, if it is still there."""
        table = schema.events
        query = sa.select(*_EVENT_COLUMNS).where(
            table.c.kind.in_(CAPTIONS if decision.heard else FRAMES),
            table.c.device == decision.device,
            table.c.session == decision.session,
            table.c.frame == decision.frame,
            table.c.time_ms == decision.time_ms,
        )
        rows = self._all(query.limit(1))
        return RecordedEvent(*rows[0]) if rows else None

    def encoders(self, *, since_ms: int = 0) -> set[bytes]:
        """The encoders whose embeddings are recorded."""
        table = schema.events
        query = sa.select(table.c.encoder).distinct()
        query = query.where(table.c.kind.in_(FRAMES), table.c.time_ms >= since_ms)
        return {row.encoder for row in self._all(query)}

    def captions(self, *, since_ms: int = 0, camera: str | None = None) -> list[RecordedEvent]:
        """The captions on record, oldest first; `data` is the text."""
        table = schema.events
        query = sa.select(*_EVENT_COLUMNS).where(
            table.c.kind.in_(CAPTIONS), table.c.time_ms >= since_ms
        )
        if camera is not None:
            query = query.where(table.c.device == camera)
        return [RecordedEvent(*row) for row in self._all(query.order_by(table.c.seq))]

    def frames_by_camera(self, *, since_ms: int = 0) -> dict[str, int]:
        """How many frames of each camera are recorded."""
        return self._by_camera(FRAMES, since_ms)

    def _by_camera(self, kinds: Sequence[str], since_ms: int) -> dict[str, int]:
        table = schema.events
        query = sa.select(table.c.device, sa.func.count()).where(
            table.c.kind.in_(kinds), table.c.time_ms >= since_ms
        )
        return {row[0]: row[1] for row in self._all(query.group_by(table.c.device))}

    def captions_by_camera(self, *, since_ms: int = 0) -> dict[str, int]:
        """How many captions of each camera are recorded."""
        return self._by_camera(CAPTIONS, since_ms)

    def cameras(self) -> set[str]:
        """Every device that was ever seen."""
        return {row.device for row in self._all(sa.select(schema.devices.c.device))}

    def prune(self, *, before_ms: int, most_bytes: int) -> int:
        """Drop what was recorded and decided before `before_ms`, then the oldest beyond a size.

        `most_bytes` bounds the events, a tenth of it the decisions. The last calibration of each
        camera that is not gone and actions that are not done yet stay. How many events were dropped
        is returned.
        """
        events, decisions, outbox = schema.events, schema.decisions, schema.outbox
        there = sa.select(schema.backgrounds.c.device)
        fitted = sa.select(sa.func.max(events.c.seq)).where(
            events.c.kind == "c", events.c.device.in_(there)
        )
        kept = events.c.seq.not_in(fitted.group_by(events.c.device).scalar_subquery())
        dropped = self._execute(sa.delete(events).where(events.c.time_ms < before_ms, kept))
        edge = self._edge(events, most_bytes // EVENT_BYTES)
        if edge is not None:
            dropped += self._execute(sa.delete(events).where(events.c.seq <= edge, kept))
        self._execute(sa.delete(decisions).where(decisions.c.time_ms < before_ms))
        edge = self._edge(decisions, most_bytes // 10 // DECISION_BYTES)
        if edge is not None:
            self._execute(sa.delete(decisions).where(decisions.c.seq <= edge))
        over = outbox.c.state.not_in(("wait", "begun", "again"))
        self._execute(sa.delete(outbox).where(outbox.c.fired_ms < before_ms, over))
        return dropped

    def unseen(self) -> list[str]:
        """Cameras with a background of which no frame is on record any more."""
        kept, events = schema.backgrounds.c.device, schema.events
        seen = sa.select(events.c.device).where(events.c.kind.in_(FRAMES))
        return sorted(row.device for row in self._all(sa.select(kept).where(kept.not_in(seen))))

    def forget(
        self, *, policies: set[str], memories: set[str], before_ms: int
    ) -> tuple[list[tuple[str, str]], list[int]]:
        """Drop what policies that are gone remember, and what was said of their alerts.

        `policies` and `memories` are the names in force; others are dropped once nothing was added
        to them since `before_ms`, and so are marks that were taken back by then. The latest mark
        stays, so that no number is given twice. Returns what went: memories, numbers of marks.
        """
        gone = [
            place
            for place, memory in self.memories().items()
            if place[0] not in memories and memory.last_ms < before_ms
        ]
        table = schema.memories
        for memory, place in gone:
            self._execute(sa.delete(table).where(table.c.memory == memory, table.c.place == place))
        marks = self.marks()
        old = [
            mark.number
            for mark in marks[:-1]
            if max(mark.time_ms, mark.undone_ms) < before_ms
            and (mark.undone_ms or mark.policy not in policies)
        ]
        if old:
            self._execute(sa.delete(schema.marks).where(schema.marks.c.number.in_(old)))
        return gone, old

    def _edge(self, table: sa.Table, keep: int) -> int | None:
        """The number of the newest row that is one too many where `keep` may stay."""
        newest = sa.select(table.c.seq).order_by(table.c.seq.desc())
        rows = self._all(newest.offset(keep).limit(1))
        return int(rows[0].seq) if rows else None

    def _write(self, connection: sa.Connection, batch: Batch) -> None:
        cursor = connection.connection.cursor()
        into = partial(insert, cursor, connection.dialect.name)
        tracks = ((*key, state_text(track)) for key, track in batch.tracks.items())
        into(schema.tracks, _TRACK, tracks, replace=True)
        memories = ((*key, state_text(memory)) for key, memory in batch.memories.items())
        into(schema.memories, _MEMORY, memories, replace=True)
        if batch.gone:
            table = schema.backgrounds
            connection.execute(sa.delete(table).where(table.c.device.in_(sorted(batch.gone))))
        backgrounds = ((device, *astuple(one)) for device, one in batch.backgrounds.items())
        into(schema.backgrounds, _BACKGROUND, backgrounds, replace=True)
        marks = ((mark.number, mark.json()) for mark in batch.marks.values())
        into(schema.marks, _MARK, marks, replace=True)
        devices = ((name, *state) for name, state in batch.devices.items())
        into(schema.devices, _DEVICE, devices, replace=True)
        into(schema.events, EVENT, map(event_row, batch.events))
        into(schema.decisions, DECISION, map(decision_row, batch.decisions))
        # Only the last word on an action counts.
        outbox = {(row["job"], row["position"]): row for row in batch.outbox}
        rows = ([row[name] for name in _OUTBOX] for row in outbox.values())
        into(schema.outbox, _OUTBOX, rows, replace=True)
        cursor.close()

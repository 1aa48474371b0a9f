"""One database, SQLite or PostgreSQL: a batch is a transaction.

All methods block; call them from one thread at a time.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.pool import StaticPool

from moteye.core.decisions import Decision, Gate
from moteye.core.marks import Mark
from moteye.core.memory import Memory
from moteye.core.track import Track
from moteye.errors import StoreError
from moteye.store import schema
from moteye.store.rows import insert

log = structlog.get_logger("moteye.store")
MEMORY = "sqlite://"
EVENT_BYTES = 400  # what a recorded event takes on disk, indices and all (measured: 366)
_PAGE = 4096


@dataclass(frozen=True)
class RecordedEvent:
    """One entry of the recording.

    `kind` "e" embedding, "l" late one, "s" start, "r" release, "f" MQTT state, "c" calibration of a
    camera, "k" mark, "w" the wall clock was set.

    `data` is int8[256] as bytes for an embedding, the policy's name for a release, the message for
    a state, whose topic stands in `device`; how far the wall clock is ahead, in ms. `colour`
    percent of the frame, -1 where the device did not say.
    """

    kind: str
    device: str = ""
    session: int = 0
    number: int = 0
    frame: int = 0
    time_ms: int = 0
    encoder: bytes = b""
    data: bytes = b""
    colour: int = -1

    @property
    def is_embedding(self) -> bool:
        """Whether it is a frame."""
        return self.kind in ("e", "l")


@dataclass(frozen=True)
class Background:
    """What is kept of a camera: `frames` int8[N, 256] as bytes, a sample of `seen` of them."""

    encoder: bytes
    seen: int
    frames: bytes
    calibration: bytes


@dataclass
class Batch:
    """Everything that one transaction writes.

    `devices` are (session, window as text, clock offset) by device; `outbox` rows as in the table.
    """

    tracks: dict[tuple[str, str], Track] = field(default_factory=dict)
    devices: dict[str, tuple[int, str, int | None]] = field(default_factory=dict)
    events: list[RecordedEvent] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    outbox: list[dict[str, Any]] = field(default_factory=list)
    memories: dict[tuple[str, str], Memory] = field(default_factory=dict)
    backgrounds: dict[str, Background] = field(default_factory=dict)
    marks: dict[int, Mark] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(vars(self).values())


_TRACK = ("fingerprint", "device", "state")
_MEMORY = ("memory", "place", "state")
_BACKGROUND = ("device", "encoder", "seen", "frames", "calibration")
_MARK = ("number", "mark")
_DEVICE = ("device", "session", "numbers", "clock_offset_ms")
_EVENT = tuple(RecordedEvent.__dataclass_fields__)
_event_of = attrgetter(*_EVENT)
_DECISION = tuple(name for name in Decision.__dataclass_fields__ if name != "gates")
_decision_fields = attrgetter(*_DECISION)
_DECISION += ("gates",)
_OUTBOX = tuple(column.name for column in schema.outbox.columns)


def state_folder() -> Path:
    """The agent's folder for what it keeps: the service manager's, or the user's (XDG)."""
    given = os.environ.get("STATE_DIRECTORY")
    if given:
        return Path(given.partition(":")[0])
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "moteye"


def default_url() -> str:
    """A SQLite file in the state folder."""
    return f"sqlite:///{state_folder() / 'moteye.db'}"


class Store:
    """Opens, and where a SQLite file is broken puts it aside and begins a fresh one.

    `url`: sqlite:///path, postgresql://…, or a bare path. Raises StoreError when it cannot open.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self._url = _url(url)
        self._read_only = read_only
        self.moved_aside: Path | None = None
        self._open()

    @property
    def path(self) -> Path | None:
        """The SQLite file; None for memory and for a server."""
        name = self._url.database
        on_disk = self._url.get_backend_name() == "sqlite" and name not in (None, "", ":memory:")
        return Path(str(name)) if on_disk else None

    def close(self) -> None:
        """Close all connections; SQLite folds its log into the file."""
        self._engine.dispose()

    def commit(self, batch: Batch) -> None:
        """Write all of `batch`, or raise StoreError and write nothing of it."""
        try:
            with self._engine.begin() as connection:
                self._write(connection, batch)
        except sa.exc.SQLAlchemyError as error:
            raise StoreError(f"{self._shown}: {_reason(error)}") from error

    def recover(self) -> bool:
        """After a failure: look at the file again; whether a fresh one had to be begun.

        Raises StoreError when not even that is possible.
        """
        before = self.moved_aside
        self._engine.dispose()
        self._open()
        return self.moved_aside != before

    def tracks(self) -> dict[tuple[str, str], Track]:
        """All tracks, by (fingerprint, device)."""
        rows = self._all(sa.select(schema.tracks))
        return {(r.fingerprint, r.device): Track.of_plain(json.loads(r.state)) for r in rows}

    def memories(self) -> dict[tuple[str, str], Memory]:
        """All memories, by (memory, place)."""
        rows = self._all(sa.select(schema.memories))
        return {(r.memory, r.place): Memory.of_plain(json.loads(r.state)) for r in rows}

    def backgrounds(self, encoder: bytes) -> dict[str, Background]:
        """The backgrounds of all cameras whose frames that encoder made."""
        table = schema.backgrounds
        rows = self._all(sa.select(table).where(table.c.encoder == encoder))
        return {r.device: Background(r.encoder, r.seen, r.frames, r.calibration) for r in rows}

    def marks(self) -> list[Mark]:
        """All that was said of alerts, in order, undone or not."""
        table = schema.marks
        return [Mark.of_json(r.mark) for r in self._all(sa.select(table).order_by(table.c.number))]

    def calibrations_before(self, time_ms: int) -> list[RecordedEvent]:
        """The last calibration of each camera before a moment, for a replay from there."""
        table = schema.events
        columns = [table.c[name] for name in RecordedEvent.__dataclass_fields__]
        query = sa.select(*columns).where(table.c.kind == "c", table.c.time_ms < time_ms)
        last = {row.device: RecordedEvent(*row) for row in self._all(query.order_by(table.c.seq))}
        return list(last.values())

    def keep_tracks(self, fingerprints: set[str]) -> None:
        """Forget the tracks of all other policies."""
        gone = schema.tracks.c.fingerprint.not_in(sorted(fingerprints))
        self._execute(sa.delete(schema.tracks).where(gone))

    def devices(self) -> dict[str, tuple[int, str, int | None]]:
        """(session, window of the numbers taken lately as text, clock offset) of every device."""
        rows = self._all(sa.select(schema.devices))
        return {r.device: (r.session, r.numbers, r.clock_offset_ms) for r in rows}

    def waiting(self) -> list[dict[str, Any]]:
        """Outbox rows of every alert with something still to be done, oldest first.

        What an earlier run had begun and not ended is `unknown` from here on (decision 9).
        """
        table = schema.outbox
        self._execute(
            sa.update(table)
            .where(table.c.state == "begun")
            .values(state="unknown", error="the agent ended in the middle of it")
        )
        self._execute(sa.update(table).where(table.c.state == "again").values(state="wait"))
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
        return [_decision(row) for row in reversed(rows)]

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
        return [(row.seq, _decision(row)) for row in rows]

    def events(self, *, since_ms: int = 0, until_ms: int | None = None) -> Iterator[RecordedEvent]:
        """The recording in the order in which the engine saw it, page by page (short reads)."""
        table, last = schema.events, 0
        columns = [table.c[name] for name in RecordedEvent.__dataclass_fields__]
        while True:
            query = sa.select(table.c.seq, *columns).where(table.c.seq > last)
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
        """The recorded frame that a decision was made on, if it is still there."""
        table = schema.events
        columns = [table.c[name] for name in RecordedEvent.__dataclass_fields__]
        query = sa.select(*columns).where(
            table.c.kind.in_(("e", "l")),
            table.c.device == decision.device,
            table.c.session == decision.session,
            table.c.frame == decision.frame,
            table.c.time_ms == decision.time_ms,
        )
        rows = self._all(query.limit(1))
        return RecordedEvent(*rows[0]) if rows else None

    def frames_by_camera(self, *, since_ms: int = 0) -> dict[str, int]:
        """How many frames of each camera are recorded."""
        table = schema.events
        query = sa.select(table.c.device, sa.func.count()).where(
            table.c.kind.in_(("e", "l")), table.c.time_ms >= since_ms
        )
        return {row[0]: row[1] for row in self._all(query.group_by(table.c.device))}

    def cameras(self) -> set[str]:
        """Every device that was ever seen."""
        return {row.device for row in self._all(sa.select(schema.devices.c.device))}

    def prune(self, *, before_ms: int, most_bytes: int) -> int:
        """Drop events taken before `before_ms`, then the oldest beyond `most_bytes`; how many."""
        table = schema.events
        dropped = self._execute(sa.delete(table).where(table.c.time_ms < before_ms))
        keep = most_bytes // EVENT_BYTES
        edge = self._all(sa.select(table.c.seq).order_by(table.c.seq.desc()).offset(keep).limit(1))
        if edge:
            dropped += self._execute(sa.delete(table).where(table.c.seq <= edge[0].seq))
        return dropped

    def checkpoint(self) -> None:
        """Fold SQLite's log into the file, so that it does not grow (T54)."""
        if self._url.get_backend_name() == "sqlite":
            with self._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    @property
    def _shown(self) -> str:
        return self._url.render_as_string(hide_password=True)

    def _open(self) -> None:
        path = self.path
        if path is not None and self._read_only and not path.is_file():
            raise StoreError(f"{path} is not there: `moteye run` writes it; or name --store")
        if path is not None and not self._read_only:
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"{self._shown}: {error}") from error
        try:
            self._connect()
        except sa.exc.DatabaseError as error:
            if path is None or self._read_only or not _is_corrupt(error):
                raise StoreError(f"{self._shown}: {_reason(error)}") from error
            self._engine.dispose()
            self.moved_aside = _move_aside(path)
            log.error(
                "the store was broken: begun anew",
                reason=_reason(error),
                kept_as=str(self.moved_aside),
            )
            try:
                self._connect()
            except sa.exc.SQLAlchemyError as again:
                raise StoreError(f"{self._shown}: {_reason(again)}") from again
        except (sa.exc.SQLAlchemyError, ImportError) as error:
            raise StoreError(f"{self._shown}: {error}") from error

    def _connect(self) -> None:
        options: dict[str, Any] = {}
        if self._url.get_backend_name() == "sqlite":
            if self.path is None:
                options["poolclass"] = StaticPool
            options["connect_args"] = {"check_same_thread": False, "timeout": 5.0}
        self._engine = sa.create_engine(self._url, **options)
        if self._url.get_backend_name() == "sqlite":
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
        with self._engine.begin() as connection:
            if self.path is not None:
                found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
                if found != "ok":
                    raise sa.exc.DatabaseError(
                        "quick_check", None, Exception(f"malformed: {found}")
                    )
            if not self._read_only:
                schema.metadata.create_all(connection)
                _add_columns(connection)
                first = "INSERT INTO meta (key, value) VALUES ('schema', :v) ON CONFLICT DO NOTHING"
                connection.execute(sa.text(first), {"v": str(schema.VERSION)})
            version = connection.scalar(
                sa.select(schema.meta.c.value).where(schema.meta.c.key == "schema")
            )
        if version != str(schema.VERSION):
            raise StoreError(
                f"{self._shown} has schema {version}, this version of moteye wants "
                f"{schema.VERSION}; move it away, or name another with --store"
            )

    def _write(self, connection: sa.Connection, batch: Batch) -> None:
        tracks = (
            (*key, json.dumps(track.plain(), separators=(",", ":")))
            for key, track in batch.tracks.items()
        )
        insert(connection, schema.tracks, _TRACK, tracks, replace=True)
        memories = (
            (*key, json.dumps(memory.plain(), separators=(",", ":")))
            for key, memory in batch.memories.items()
        )
        insert(connection, schema.memories, _MEMORY, memories, replace=True)
        backgrounds = ((device, *astuple(one)) for device, one in batch.backgrounds.items())
        insert(connection, schema.backgrounds, _BACKGROUND, backgrounds, replace=True)
        marks = ((mark.number, mark.json()) for mark in batch.marks.values())
        insert(connection, schema.marks, _MARK, marks, replace=True)
        devices = ((name, *state) for name, state in batch.devices.items())
        insert(connection, schema.devices, _DEVICE, devices, replace=True)
        insert(connection, schema.events, _EVENT, map(_event_of, batch.events))
        insert(connection, schema.decisions, _DECISION, map(_decision_row, batch.decisions))
        # Only the last word on an action counts.
        outbox = {(row["job"], row["position"]): row for row in batch.outbox}
        rows = ([row[name] for name in _OUTBOX] for row in outbox.values())
        insert(connection, schema.outbox, _OUTBOX, rows, replace=True)

    def _all(self, query: sa.Select[Any]) -> list[Any]:
        try:
            with self._engine.connect() as connection:
                return list(connection.execute(query).all())
        except sa.exc.SQLAlchemyError as error:
            raise StoreError(f"{self._shown}: {_reason(error)}") from error

    def _execute(self, statement: sa.Delete | sa.Update) -> int:
        try:
            with self._engine.begin() as connection:
                return connection.execute(statement).rowcount
        except sa.exc.SQLAlchemyError as error:
            raise StoreError(f"{self._shown}: {_reason(error)}") from error


def _url(text: str) -> sa.URL:
    if "://" not in text:
        text = f"sqlite:///{Path(text).expanduser()}"
    try:
        url = sa.make_url(text)
    except sa.exc.ArgumentError as error:
        raise StoreError(f"{text!r} is no store: sqlite:///path or postgresql://…") from error
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(f"a store is sqlite:///path or postgresql://…, not {url.drivername}")
    return url


def _add_columns(connection: sa.Connection) -> None:
    """Give the tables of an older version the columns that came since."""
    inspector = sa.inspect(connection)
    for table in schema.metadata.sorted_tables:
        there = {column["name"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                definition = sa.schema.CreateColumn(column).compile(connection)
                connection.execute(sa.text(f"ALTER TABLE {table.name} ADD COLUMN {definition}"))
                log.info("the store was brought up to date", table=table.name, column=column.name)


def _prepare_sqlite(connection: Any, _: Any) -> None:
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "wal_autocheckpoint = 1000"):
        connection.execute(f"PRAGMA {pragma}")


def _decision_row(decision: Decision) -> tuple[Any, ...]:
    gates = [[gate.name, gate.passed, gate.text] for gate in decision.gates]
    text = json.dumps(gates, ensure_ascii=False, separators=(",", ":"))
    return (*_decision_fields(decision), text)


def _decision(row: Any) -> Decision:
    values = dict(row._mapping)
    del values["seq"]
    gates = tuple(Gate(*gate) for gate in json.loads(values.pop("gates")))
    return Decision(**values, gates=gates)


def _is_corrupt(error: sa.exc.DatabaseError) -> bool:
    text = str(error.orig)
    return any(word in text for word in ("malformed", "not a database", "corrupt", "disk I/O"))


def _move_aside(path: Path) -> Path:
    """Rename the file and its log; nothing is deleted."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    target = path.with_name(f"{path.name}.corrupt-{stamp}-{time.time_ns() % 1_000_000}")
    path.rename(target)
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(target.with_name(target.name + suffix))
    return target


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error)

"""One database, SQLite or PostgreSQL: where it is, opening it, and what to do when it is broken."""

import os
import time
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
import structlog
from sqlalchemy.pool import StaticPool

from moteye.errors import StoreError
from moteye.store import schema

log = structlog.get_logger("moteye.store")
MEMORY = "sqlite://"


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


class Database:
    """Opens, and where a SQLite file is broken puts it aside and begins a fresh one.

    `url`: sqlite:///path, postgresql://…, or a bare path. Raises StoreError when it cannot open.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self._url = url_of(url)
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

    def recover(self) -> bool:
        """After a failure: look at the file again; whether a fresh one had to be begun.

        Raises StoreError when not even that is possible.
        """
        before = self.moved_aside
        self._engine.dispose()
        self._open()
        return self.moved_aside != before

    def checkpoint(self) -> None:
        """Fold SQLite's log into the file, so that it does not grow (T54)."""
        if self._url.get_backend_name() == "sqlite":
            with self._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    @property
    def _driver_error(self) -> type[Exception]:
        """What the driver itself raises; SQLAlchemy wraps it where a statement goes through it."""
        driver = self._engine.dialect.loaded_dbapi
        return cast("type[Exception]", driver.Error)

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
                raise StoreError(f"{self._shown}: {reason_of(error)}") from error
            self._engine.dispose()
            self.moved_aside = _move_aside(path)
            log.error(
                "the store was broken: begun anew",
                reason=reason_of(error),
                kept_as=str(self.moved_aside),
            )
            try:
                self._connect()
            except sa.exc.SQLAlchemyError as again:
                raise StoreError(f"{self._shown}: {reason_of(again)}") from again
        except (sa.exc.SQLAlchemyError, ImportError) as error:
            raise StoreError(f"{self._shown}: {error}") from error

    def _connect(self) -> None:
        options: dict[str, Any] = {}
        if self._url.get_backend_name() == "sqlite":
            if self.path is None:
                options["poolclass"] = StaticPool
            options["connect_args"] = {"check_same_thread": False, "timeout": 5.0}
        # What is written may hold secrets of policies: no error repeats it.
        self._engine = sa.create_engine(self._url, hide_parameters=True, **options)
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
                for name in schema.DROPPED_INDICES:
                    connection.exec_driver_sql(f"DROP INDEX IF EXISTS {name}")
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

    def _all(self, query: sa.Select[Any]) -> list[Any]:
        try:
            with self._engine.connect() as connection:
                return list(connection.execute(query).all())
        except sa.exc.SQLAlchemyError as error:
            raise StoreError(f"{self._shown}: {reason_of(error)}") from error

    def _execute(self, statement: sa.Delete | sa.Update) -> int:
        try:
            with self._engine.begin() as connection:
                return connection.execute(statement).rowcount
        except sa.exc.SQLAlchemyError as error:
            raise StoreError(f"{self._shown}: {reason_of(error)}") from error


def url_of(text: str) -> sa.URL:
    """The URL of a bare path, of sqlite:///path or of postgresql://…; raises StoreError."""
    if "://" not in text:
        text = f"sqlite:///{Path(text).expanduser()}"
    try:
        url = sa.make_url(text)
    except sa.exc.ArgumentError as error:
        shown = text.partition(":")[0]  # behind it there may be a password
        raise StoreError(f"{shown}:… is no store: sqlite:///path or postgresql://…") from error
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


def reason_of(error: Exception) -> str:
    """What the database itself said."""
    return str(getattr(error, "orig", None) or error)

"""Each SQLite operation fails in turn: alerts are the same, and what was acknowledged is kept."""

import asyncio
import sqlite3
import sqlite3.dbapi2
from dataclasses import dataclass

import numpy as np
import pytest
from moteye.core.decisions import Decision
from moteye.core.engine import CompiledPolicy, Engine, Observation
from moteye.core.language import parse_policy
from moteye.ledger import Ledger
from moteye.store import Store
from support.failing import Failing, sweep

FULL, LOCKED = "database or disk is full", "database is locked"
MARGINS = [-900, 900, 900, -900, -900, 900, 900]


@pytest.fixture
def injected(monkeypatch):
    """`injected(failing, error)`: from now on SQLite asks `failing` before each operation."""
    connect = sqlite3.dbapi2.connect

    def inject(failing: Failing, error: str) -> None:
        def check() -> None:
            if failing.due():
                raise sqlite3.OperationalError(error)

        class Cursor(sqlite3.Cursor):
            def execute(self, *arguments):
                check()
                return super().execute(*arguments)

            def executemany(self, *arguments):
                check()
                return super().executemany(*arguments)

        class Connection(sqlite3.Connection):
            def cursor(self, factory=Cursor):
                return super().cursor(factory)

            def commit(self):
                check()
                super().commit()

        def connect_failing(database, **options):
            if database == ":memory:":  # has no disk that could fail
                return connect(database, **options)
            return connect(database, factory=Connection, **options)

        monkeypatch.setattr(sqlite3.dbapi2, "connect", connect_failing)

    return inject


@dataclass
class Outcome:
    """What one run of the ledger gave."""

    alerts: list[str]
    in_file: bool  # whether it opened the file, or had to go on in memory
    failed: int
    not_recorded: int


async def run(path, failing: Failing) -> Outcome:
    policy = parse_policy("see: a\ncooldown: 0s\nthen: [log]\n", "p", "p")
    engine = Engine()
    engine.replace((CompiledPolicy(policy, np.array([0]), np.array([300], np.int32), "f"),))
    book = Ledger(str(path), engine, record_days=30, record_bytes=10**8)
    await book.open()
    found: list[Decision] = []
    for number, margin in enumerate(MARGINS):
        seen = Observation("cam", 1, number, number, 1000 * number)
        assert book.is_new(seen)
        book.saw(seen, b"8 bytes.", bytes(256))
        decisions = engine.observe(seen, np.array([margin], np.int16))
        found += decisions
        await book.commit(decisions)
    failing.fail_at = None  # there is room again
    await book.commit()
    assert book._store is not None
    in_file = book._store.path is not None
    await book.close()
    counters = book.counters
    alerts = [decision.id for decision in found if decision.fired]
    return Outcome(alerts, in_file, counters["store.failed"], counters["events.not_recorded"])


def kept(path) -> tuple[list[str], dict, int]:
    """(ids of the decisions, tracks, recorded events) in a store."""
    store = Store(str(path))
    try:
        events = sum(event.kind == "e" for event in store.events())
        return [d.id for d in store.decisions()], store.tracks(), events
    finally:
        store.close()


@pytest.mark.parametrize(
    ("error", "lasting"),
    [(FULL, False), (FULL, True), (LOCKED, True)],
    ids=["full once", "full from then on", "locked from then on"],
)
def test_t55_sqlite_error_at_every_operation(tmp_path, injected, error, lasting):
    undisturbed = asyncio.run(run(tmp_path / "good.db", Failing()))
    decisions, tracks, events = kept(tmp_path / "good.db")
    assert len(undisturbed.alerts) == 2
    assert events == len(MARGINS)

    def attempt(failing: Failing) -> None:
        injected(failing, error)
        path = tmp_path / f"{failing.fail_at}.db"
        outcome = asyncio.run(run(path, failing))
        assert outcome.alerts == undisturbed.alerts, "alerts do not depend on the store"
        assert bool(outcome.failed) <= bool(failing.failures)
        if outcome.in_file:
            found = kept(path)
            assert found[:2] == (decisions, tracks), "decided and acknowledged, so written"
            assert found[2] + outcome.not_recorded >= events, "what is missing was counted"
        else:
            assert outcome.failed, "it went on in memory and said so"

    assert sweep(attempt, lasting=lasting) > 40

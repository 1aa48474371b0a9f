"""The ledger where storage fails: alerts go on, and what was not written follows later."""

import asyncio

import numpy as np
import pytest
import sqlalchemy as sa
from moteye.core.decisions import Decision
from moteye.core.engine import CompiledPolicy, Engine, Observation
from moteye.core.language import parse_policy
from moteye.core.marks import Mark
from moteye.core.memory import Memory
from moteye.core.presence import Presence
from moteye.errors import StoreError
from moteye.ledger import Ledger
from moteye.store import Batch, Store

DECISION = Decision("ab12", "p", "cam", True, "seen", "a cat", 700, 300, 4, 1, 5000)


OUTBOX = {
    "job": "1-1", "position": 0, "decision": "ab12", "policy": "p", "device": "cam",
    "fired_ms": 1, "action": '{"kind":"log"}', "alert": "{}", "state": "done", "attempts": 1,
    "due_ms": 0, "error": "",
}  # fmt: skip


def engine() -> Engine:
    policy = parse_policy("see: a\ncooldown: 1h\nthen: [log]\n", "p", "p")
    made = Engine()
    made.replace((CompiledPolicy(policy, np.array([0]), np.array([300], np.int32), "f"),))
    return made


def ledger(url, state: Engine) -> Ledger:
    return Ledger(str(url), state, record_days=30, record_bytes=10**8)


def look(ledger: Ledger, state: Engine, number: int, margin: int) -> list[Decision]:
    seen = Observation("cam", 1, number, number, 1000 * number)
    if not ledger.is_new(seen):
        return []
    ledger.saw(seen, b"8 bytes.", bytes(256))
    return state.observe(seen, np.array([margin], np.int16))


async def test_the_next_run_knows_twins_cooldowns_and_clock(store_url):
    first = engine()
    book = ledger(store_url, first)
    await book.open()
    presence = Presence(session=1)
    assert book.time_of("cam", presence, 100, 5100) == 5100
    decisions = [d for n in (1, 2, 3) for d in look(book, first, n, 900)]
    assert [d.fired for d in decisions] == [True]
    await book.commit(decisions)
    await book.close()
    second = engine()
    book = ledger(store_url, second)
    await book.open()
    assert list(book.clock_offsets()) == [("cam", 1, 5000)]
    presence = Presence(session=1)
    presence.resume(5000, now_ms=99_999)
    assert book.time_of("cam", presence, 200, 99_999) == 5200, "no later than before"
    assert look(book, second, 2, 900) == [], "a twin of the last run"
    assert book.counters["embedding.twin"] == 1
    margins = [-900, -900, 900, 900]
    found = [d for n, margin in enumerate(margins, 4) for d in look(book, second, n, margin)]
    assert [(d.fired, d.reason) for d in found] == [(False, "cooldown: 3595 s left")]
    await book.close()


async def test_t55_without_a_place_to_write_alerts_go_on_in_memory(tmp_path):
    (tmp_path / "file").write_text("in the way")
    state = engine()
    book = ledger(tmp_path / "file" / "s.db", state)
    assert await book.open() == []
    assert book.counters["store.failed"] == 1
    assert [d.fired for n in (1, 2, 3) for d in look(book, state, n, 900)] == [True]
    await book.commit([DECISION])
    await book.close()


async def test_t55_what_a_full_disk_refused_is_written_when_there_is_room(tmp_path, monkeypatch):
    state = engine()
    book = ledger(tmp_path / "s.db", state)
    await book.open()
    await book.commit()
    kept = Store.commit

    def full(self, batch):
        raise StoreError("database or disk is full")

    monkeypatch.setattr(Store, "commit", full)
    decisions = [d for n in (1, 2, 3) for d in look(book, state, n, 900)]
    assert [d.fired for d in decisions] == [True]
    await book.commit(decisions)
    await book.commit()
    monkeypatch.setattr(Store, "commit", kept)
    await book.commit()
    await book.close()
    store = Store(str(tmp_path / "s.db"))
    assert [d.id for d in store.decisions()] == [decisions[0].id]
    assert store.tracks()["f", "cam"].fired_ms == decisions[0].time_ms
    assert [e.number for e in store.events() if e.is_embedding] == [1, 2, 3]
    assert book.counters["events.not_recorded"] == 0


def refuse_writes(book: Ledger, how: str, refused: bool) -> None:
    """Have the database itself refuse: no room, read-only, and each the other way round."""
    assert book._store is not None
    if how == "read-only server":
        with book._store._engine.connect() as connection:
            value = "on" if refused else "off"
            connection.exec_driver_sql("SET default_transaction_read_only = off")
            connection.commit()
            connection.exec_driver_sql(
                f"ALTER ROLE moteye SET default_transaction_read_only = {value}"
            )
            connection.commit()
        book._store._engine.dispose()  # roles' settings hold for new connections
        return
    if how == "full":
        pragma = f"max_page_count = {1 if refused else 1 << 30}"
    else:
        pragma = f"query_only = {int(refused)}"

    def prepare(connection, _):
        connection.execute(f"PRAGMA {pragma}")

    book._store._engine.dispose()
    sa.event.listen(book._store._engine, "connect", prepare)


@pytest.mark.parametrize("how", ["full", "read-only file", "read-only server"])
async def test_t55_a_database_that_takes_no_writes_holds_up_no_alert(
    tmp_path, request, how, monkeypatch
):
    url = str(tmp_path / "s.db")
    if how == "read-only server":
        url = request.getfixturevalue("empty_postgres")
    state = engine()
    book = ledger(url, state)
    await book.open()
    await book.commit()
    monkeypatch.setattr(Store, "recover", lambda self: False)  # keeps the refusing connection
    refuse_writes(book, how, refused=True)
    decisions = [d for n in range(60) for d in look(book, state, n, 900)]
    assert [d.fired for d in decisions] == [True], "alerts go on"
    await book.commit(decisions)
    assert book.counters["store.failed"] >= 1, "and it shows"
    refuse_writes(book, how, refused=False)
    await book.commit([d for n in (60, 61) for d in look(book, state, n, -900)])
    await book.close()
    store = Store(url)
    assert [d.id for d in store.decisions()] == [decisions[0].id]
    assert store.tracks()["f", "cam"].fired_ms == decisions[0].time_ms
    assert [e.number for e in store.events() if e.is_embedding] == list(range(62))
    assert book.counters["events.not_recorded"] == 0


async def test_t53_a_server_that_drops_all_connections_loses_nothing(empty_postgres):
    state = engine()
    book = ledger(empty_postgres, state)
    await book.open()
    await book.commit()
    assert book._store is not None
    other = sa.create_engine(empty_postgres.replace("postgresql:", "postgresql+psycopg:"))
    for number in (1, 2, 3):
        with other.connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND usename = 'moteye'"
            )
        await book.commit(look(book, state, number, 900))
    other.dispose()
    await book.close()
    store = Store(empty_postgres)
    assert [e.number for e in store.events() if e.is_embedding] == [1, 2, 3]
    assert [d.fired for d in store.decisions()] == [True]


async def test_what_policies_that_are_gone_remember_is_forgotten_in_its_time(store_url):
    state, day_ms = engine(), 86_400_000
    book = ledger(store_url, state)
    await book.open()
    old, kept = Memory(day_ms), Memory(60 * day_ms)
    state.novelty.memories = {("gone", "cam"): old, ("gone", "*"): kept}
    marks = [
        Mark(n, day_ms, "d", "e", policy, "cam", "wrong", "", "a", 1, False, bytes(256), undone)
        for n, policy, undone in ((1, "gone", 0), (2, "p", 0), (3, "p", day_ms), (4, "gone", 0))
    ]
    for mark in marks:
        book.mark(mark)
    assert book._store is not None
    book._store.commit(Batch(memories=dict(state.novelty.memories)))
    await book.commit()
    await book.tidy(20 * day_ms)
    assert len(book._store.memories()) == 2, "nothing is 30 days old"
    await book.tidy(61 * day_ms)
    assert list(book._store.memories()) == list(state.novelty.memories) == [("gone", "*")]
    left = [2, 4]  # in force, and the latest, whose number must not be given again
    assert [mark.number for mark in book._store.marks()] == list(state.marks.all) == left
    await book.close()


async def test_t53_a_store_that_breaks_under_way_is_begun_anew_with_all_tracks(tmp_path):
    state = engine()
    book = ledger(tmp_path / "s.db", state)
    await book.open()
    await book.commit([d for n in (1, 2, 3) for d in look(book, state, n, 900)])
    assert book._store is not None
    book._store.checkpoint()
    book._store._engine.dispose()
    (tmp_path / "s.db").write_bytes(b"x" * 8192)
    await book.commit([d for n in (4, 5) for d in look(book, state, n, -900)])
    await book.close()
    again = Store(str(tmp_path / "s.db"))
    assert again.tracks()["f", "cam"].fired_ms == 2000
    assert [e.number for e in again.events()] == [4, 5]
    assert list(tmp_path.glob("s.db.corrupt-*"))


async def test_an_alert_that_nobody_got_is_recorded_for_the_replay(store_url):
    state = engine()
    book = ledger(store_url, state)
    await book.open()
    decisions = [d for n in (1, 2) for d in look(book, state, n, 900)]
    book.release("p", "cam", decisions[0].time_ms)
    await book.close()
    store = Store(store_url)
    assert [event.kind for event in store.events()] == ["s", "p", "e", "e", "r"]
    assert store.tracks()["f", "cam"].fired_ms is None


async def test_whoever_writes_while_a_transaction_is_under_way_shares_the_next(tmp_path):
    """Found by `publish_to_action_p99_ms`: a burst of alerts was a transaction for each."""
    book = ledger(tmp_path / "s.db", engine())
    await book.open()
    before = book.counters["batches"]
    rows = [OUTBOX | {"job": f"{number}-1"} for number in range(500)]
    await asyncio.gather(*(book.delivered([row]) for row in rows))
    assert book.counters["batches"] - before == 2, "the first alone, all others together"
    written = await book.ask(lambda store: store.outbox(["done"]))
    assert sorted(row["job"] for row in written) == sorted(row["job"] for row in rows)
    await book.close()


async def test_what_need_not_be_written_at_once_goes_with_what_must(tmp_path):
    """Found by `publish_to_action_p99_ms`: what became of each alert was a transaction more."""
    book = ledger(tmp_path / "s.db", engine())
    await book.open()
    before = book.counters["batches"]
    later = [
        asyncio.create_task(book.delivered([OUTBOX | {"job": f"{number}-1"}], at_once=False))
        for number in range(50)
    ]
    await asyncio.sleep(0)
    assert book.counters["batches"] == before, "nothing hurries"
    await book.commit(outbox=[OUTBOX | {"job": "50-1"}])
    await asyncio.gather(*later)
    assert book.counters["batches"] - before == 1
    await book.delivered([OUTBOX | {"job": "51-1"}], at_once=False)  # alone: after SHARED_S
    assert book.counters["batches"] - before == 2
    written = await book.ask(lambda store: store.outbox(["done"]))
    assert len(written) == 52
    await book.close()


async def test_a_writer_that_is_cancelled_leaves_the_others_of_its_transaction_alone(tmp_path):
    book = ledger(tmp_path / "s.db", engine())
    await book.open()
    writers = [
        asyncio.create_task(book.delivered([OUTBOX | {"job": f"{number}-1"}]))
        for number in range(3)
    ]
    await asyncio.sleep(0)
    writers[1].cancel()
    await asyncio.gather(writers[0], writers[2])
    written = await book.ask(lambda store: store.outbox(["done"]))
    assert sorted(row["job"] for row in written) == ["0-1", "1-1", "2-1"]
    await book.close()

"""The store on real SQLite files, and its statements in PostgreSQL's dialect."""

import random
import sqlite3
from dataclasses import replace

import pytest
from moteye.core.decisions import Decision, Gate
from moteye.core.memory import Memory
from moteye.core.track import Peak, Track
from moteye.errors import StoreError
from moteye.store import Background, Batch, RecordedEvent, Store, default_url
from moteye.store.store import DECISION_BYTES

TRACK = Track(1, 0, 5, 9, False, True, False, 77, None, Peak("é", 3, -4, 5, 6, 7))
DECISION = Decision(
    *("ab12", "p", "cam", True, "seen", "a cat", 700, 300, 4, 1, 5000),
    gates=(Gate("margin", True, "margin 2.73 at or above 1.17"),),
)
ROW = {
    "job": "j",
    "position": 0,
    "decision": "ab12",
    "policy": "p",
    "device": "cam",
    "fired_ms": 5000,
    "action": "{}",
    "alert": "{}",
    "state": "wait",
    "attempts": 0,
    "due_ms": 0,
    "error": "",
}


def event(number: int, time_ms: int = 0) -> RecordedEvent:
    return RecordedEvent("e", "cam", 1, number, number, time_ms or number, bytes(8), bytes(256))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "moteye.db"


def test_what_is_written_is_read_by_the_next_run(store_url):
    store = Store(store_url)
    batch = Batch({("f", "cam"): TRACK}, {"cam": (3, "2:3", -5)}, [event(1)], [DECISION], [ROW])
    store.commit(batch)
    store.close()
    again = Store(store_url)
    assert again.tracks() == {("f", "cam"): TRACK}
    assert again.devices() == {"cam": (3, "2:3", -5)}
    assert list(again.events()) == [event(1)]
    assert again.decisions() == [DECISION]
    assert again.waiting() == [ROW]
    assert again.cameras() == {"cam"}


def test_a_batch_is_written_whole_or_not_at_all(store_url):
    store = Store(store_url)
    with pytest.raises(StoreError):
        store.commit(Batch({("f", "cam"): TRACK}, events=[event(1)], outbox=[{**ROW, "job": None}]))
    assert store.tracks() == {}
    assert list(store.events()) == []


def test_sqlite_keeps_a_log_and_syncs_at_checkpoints(path):
    store = Store(str(path))
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1


def test_decisions_are_found_by_policy_time_and_id(store_url):
    store = Store(store_url)
    many = [replace(DECISION, id=f"{n:04x}", time_ms=n, policy="pq"[n % 2]) for n in range(10)]
    store.commit(Batch(decisions=many))
    assert [d.time_ms for d in store.decisions(policy="q")] == [1, 3, 5, 7, 9]
    assert [d.time_ms for d in store.decisions(since_ms=3, until_ms=5)] == [3, 4, 5]
    assert [d.time_ms for d in store.decisions(limit=2)] == [8, 9]
    assert [d.time_ms for d in store.decisions(prefix="0007")] == [7]


def test_events_come_page_by_page_in_the_order_of_the_engine(store_url):
    store = Store(store_url)
    order = list(range(1, 9001))
    random.Random(1).shuffle(order)
    store.commit(Batch(events=[event(n, n) for n in order]))
    assert [e.number for e in store.events()] == order
    assert [e.number for e in store.events(since_ms=8999)] == [n for n in order if n >= 8999]


def test_retention_drops_by_age_and_by_size(store_url):
    store = Store(store_url)
    store.commit(Batch(events=[event(n, n * 1000) for n in range(1, 101)]))
    assert store.prune(before_ms=11_000, most_bytes=10**9) == 10
    assert store.prune(before_ms=0, most_bytes=400 * 20) == 70
    assert [e.number for e in store.events()] == list(range(81, 101))


def test_retention_keeps_what_still_holds(store_url):
    store = Store(store_url)
    fitted = [RecordedEvent("c", f"cam{n % 2}", time_ms=n, data=b"%d" % n) for n in range(6)]
    fitted.append(RecordedEvent("c", "gone", time_ms=6, data=b"6"))
    there = {f"cam{n}": Background(b"8 bytes.", 1, b"", b"") for n in range(2)}
    states = ("wait", "begun", "again", "done", "dead", "unknown", "acknowledged")
    rows = [
        {**ROW, "job": state, "state": state, "fired_ms": fired_ms}
        for state in states
        for fired_ms in (5,)
    ]
    many = [replace(DECISION, id=f"{n:04x}", time_ms=n) for n in range(100)]
    events = [*fitted, event(9, 9)]
    store.commit(Batch(events=events, decisions=many, outbox=rows, backgrounds=there))
    assert store.prune(before_ms=20, most_bytes=10**9) == 6
    assert [(e.kind, e.time_ms) for e in store.events()] == [("c", 4), ("c", 5)]
    assert [d.time_ms for d in store.decisions()] == list(range(20, 100))
    assert {row["state"] for row in store.outbox(states)} == {"wait", "begun", "again"}
    store.prune(before_ms=0, most_bytes=4500 * 10)
    assert [d.time_ms for d in store.decisions()] == list(range(90, 100))
    assert [e.kind for e in store.events()] == ["c", "c"]


def test_a_decision_takes_about_as_much_as_retention_takes_it_for(path):
    store = Store(str(path))
    gates = tuple(
        Gate(name, True, text)
        for name, text in (
            ("margin", "margin 2.73 at or above 1.17"),
            ("calibration", "calibration 3 of this camera, from 400 frames"),
            ("frames", "seen in 2 of 2 frames"),
            ("known", "new: the nearest is a plant#3, similarity 0.71; margin +1.22"),
            ("cooldown", "no cooldown"),
            ("while", "while holds"),
        )
    )
    one = replace(DECISION, gates=gates, policy="windowsill", device="living-room")
    many = [replace(one, id=f"{n:016x}", time_ms=10**12 + n) for n in range(5000)]
    store.commit(Batch(decisions=many))
    store.checkpoint()
    assert 0.7 < path.stat().st_size / len(many) / DECISION_BYTES < 1.1


def test_what_held_at_a_moment_goes_before_a_replay_from_there(store_url):
    store = Store(store_url)

    def said(kind, device="", time_ms=0, data=b""):
        return RecordedEvent(kind, device, time_ms=time_ms, data=data)

    recorded = [
        said("s", time_ms=1),
        said("f", "home/alarm", 2, b"armed"),
        said("k", "cam", 3, b"one"),
        said("s", time_ms=10),
        said("w", time_ms=11, data=b"500"),
        said("f", "home/alarm", 12, b"off"),
        said("c", "cam", 13, b"first"),
        event(1, 14),
        said("c", "cam", 15, b"second"),
        said("f", "home/alarm", 16, b"armed"),
        said("k", "cam", 17, b"two"),
        said("f", "home/alarm", 30, b"later"),
    ]
    store.commit(Batch(events=recorded))
    then = {(e.kind, e.data) for e in store.standing_at(20)}
    assert then == {("k", b"one"), ("k", b"two"), ("c", b"second"), ("f", b"armed"), ("w", b"500")}
    early = {(e.kind, e.data) for e in store.standing_at(11)}
    assert early == {("k", b"one")}, "a start knows no states"
    assert store.standing_at(0) == []


@pytest.mark.parametrize("damage", ["garbage", "header", "pages", "half", "empty-log"])
def test_t53_a_corrupt_file_is_moved_aside_and_a_fresh_one_opened(path, damage):
    store = Store(str(path))
    store.commit(Batch(events=[event(n) for n in range(1, 500)]))
    store.checkpoint()
    store.close()
    data = bytearray(path.read_bytes())
    match damage:
        case "garbage":
            data = bytearray(random.Random(0).randbytes(len(data)))
        case "header":
            data[:100] = bytes(100)
        case "pages":
            for page in range(4096, len(data), 4096):
                data[page : page + 8] = b"\xff" * 8
        case "half":
            data = data[: len(data) // 2]
        case "empty-log":
            data[:16] = b"not a database!!"
    path.write_bytes(data)
    again = Store(str(path))
    assert again.moved_aside is not None
    assert again.moved_aside.read_bytes() == data
    assert list(again.events()) == []
    again.commit(Batch(events=[event(1)]))
    assert list(again.events()) == [event(1)]


def test_t53_a_file_that_breaks_while_it_is_used_is_begun_anew(path):
    store = Store(str(path))
    store.commit(Batch(events=[event(n) for n in range(1, 500)]))
    store.checkpoint()
    path.write_bytes(b"x" * 8192)
    store._engine.dispose()  # the old connection has all pages in its cache
    with pytest.raises(StoreError):
        store.commit(Batch(events=[event(1)]))
    assert store.recover()
    store.commit(Batch(events=[event(1)]))
    assert list(store.events()) == [event(1)]


def test_t54_the_log_stays_small_under_steady_writes_and_a_long_reader(path):
    store = Store(str(path))
    store.commit(Batch(events=[event(n) for n in range(1, 3000)]))
    reading = store.events()
    next(reading)
    for n in range(3000, 5000):
        store.commit(Batch(events=[event(n)]))
    log = path.with_name(path.name + "-wal")
    assert log.stat().st_size < 8_000_000
    store.checkpoint()
    assert log.stat().st_size == 0


def test_t54_a_long_reader_holds_no_transaction_open(empty_postgres):
    store = Store(empty_postgres)
    store.commit(Batch(events=[event(n) for n in range(1, 9000)]))
    reading = store.events()
    next(reading)
    open_ones = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%%'"
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql(open_ones).scalar() == 0, "rows that went can be cleared"
    for n in range(9000, 9100):
        store.commit(Batch(events=[event(n)]))
    store.prune(before_ms=8000, most_bytes=10**9)
    assert [one.number for one in reading][-1] == 9099


def test_a_store_of_another_version_is_refused_and_left_alone(path):
    Store(str(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    with pytest.raises(StoreError, match="schema 99"):
        Store(str(path))
    assert path.exists()


@pytest.mark.parametrize("url", ["mysql://x/y", "::", "nope://"])
def test_other_databases_are_refused(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if url == "::":
        assert Store(url).path is not None  # a bare path is a file
        return
    with pytest.raises(StoreError):
        Store(url)


def test_the_default_is_a_file_in_the_state_folder(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")
    assert default_url() == "sqlite:////somewhere/moteye/moteye.db"


def test_a_second_write_of_a_row_replaces_the_first(store_url):
    store = Store(store_url)
    store.commit(Batch({("f", "cam"): Track()}, {"cam": (1, "1:1", None)}, outbox=[ROW]))
    store.commit(
        Batch({("f", "cam"): TRACK}, {"cam": (2, "2:1", 5)}, outbox=[{**ROW, "attempts": 3}])
    )
    assert store.tracks() == {("f", "cam"): TRACK}
    assert store.devices() == {"cam": (2, "2:1", 5)}
    assert [row["attempts"] for row in store.waiting()] == [3]
    store.keep_tracks({"g"})
    assert store.tracks() == {}
    store.checkpoint()


def test_the_actions_of_a_decision_are_found(store_url):
    store = Store(store_url)
    store.commit(Batch(decisions=[DECISION], outbox=[ROW, {**ROW, "position": 1, "state": "dead"}]))
    assert [row["state"] for row in store.outbox_of(DECISION)] == ["wait", "dead"]
    assert [row["state"] for row in store.waiting()] == ["wait", "dead"], "the whole alert"
    done = [{**ROW, "state": "done"}, {**ROW, "position": 1, "state": "dead"}]
    store.commit(Batch(outbox=done))
    assert store.waiting() == []


def test_what_was_begun_and_not_ended_is_unknown_to_the_next_run(store_url):
    store = Store(store_url)
    store.commit(Batch(outbox=[{**ROW, "state": "begun"}, {**ROW, "position": 1, "state": "done"}]))
    assert Store(store_url, read_only=True).waiting() == []
    assert [row["state"] for row in store.outbox(["begun"])] == ["begun"], "who reads changes none"
    store.settle_interrupted()
    (row,) = store.outbox(["unknown"])
    assert row["error"] == "the agent ended in the middle of it"


def test_a_person_asks_for_another_attempt_once(store_url):
    store = Store(store_url)
    rows = [{**ROW, "position": n, "state": state} for n, state in enumerate(("dead", "unknown"))]
    store.commit(Batch(outbox=rows))
    assert store.ask_again("zz", ["dead"]) == 0
    assert store.ask_again("ab", ["dead"]) == 1
    (row,) = store.asked_again()
    assert (row["position"], row["state"], row["attempts"], row["due_ms"]) == (0, "wait", 1, 0)
    assert store.asked_again() == []
    assert [row["position"] for row in store.outbox(["wait"])] == [0]


def test_memories_are_kept_and_replaced(store_url):
    memory = Memory(5, class_ms=7)
    memory.add_thing("a plant", bytes(range(256)), infrared=True, time_ms=6)
    Store(store_url).commit(Batch(memories={("m", "cam"): memory, ("m", "*"): Memory(1)}))
    store = Store(store_url)
    assert store.memories() == {("m", "cam"): memory, ("m", "*"): Memory(1)}
    store.commit(Batch(memories={("m", "*"): Memory(2)}))
    assert store.memories()["m", "*"].born_ms == 2


def test_a_store_of_an_older_version_gets_what_came_since(store_url):
    store = Store(store_url)
    store.commit(Batch(events=[event(1)]))
    with store._engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE events DROP COLUMN colour")
        connection.exec_driver_sql("DROP TABLE memories")
    store.close()
    again = Store(store_url)
    assert list(again.events()) == [event(1)]
    again.commit(Batch(events=[replace(event(2), colour=30)], memories={("m", "*"): Memory(1)}))
    assert [one.colour for one in again.events()] == [-1, 30]

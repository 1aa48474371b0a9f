"""The data folder may be anything (T64); the session counter never goes back."""

import pytest
from backoff import Backoff
from store import Store

NOW_MS = 1_800_000_000_000


def test_session_counts_up_from_the_clock(tmp_path):
    store = Store(str(tmp_path / "a" / "b"))
    assert [store.next_session(NOW_MS) for _ in range(3)] == [NOW_MS, NOW_MS + 1, NOW_MS + 2]


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff\xfe", b"-5", b"9" * 60, b"1" * 100])
def test_t64_garbage_session_is_replaced(tmp_path, content):
    (tmp_path / "session").write_bytes(content)
    assert Store(str(tmp_path)).next_session(NOW_MS) == NOW_MS
    assert Store(str(tmp_path)).next_session(NOW_MS) == NOW_MS + 1


def test_t64_folder_that_cannot_be_written_takes_the_clock(tmp_path):
    (tmp_path / "flash").write_text("a file where a folder should be")
    store = Store(str(tmp_path / "flash"))
    assert store.next_session(NOW_MS) == NOW_MS
    assert store.next_session(NOW_MS + 5) == NOW_MS + 5
    assert store.next_session(None) == 1
    assert store.write("x", b"1") is False
    assert store.read_into("x", bytearray(8)) is None


def test_write_replaces_whole_file_and_read_refuses_larger(tmp_path):
    store = Store(str(tmp_path))
    assert store.write("set", b"12345")
    assert store.write("set", b"678")
    buffer = bytearray(4)
    assert store.read_into("set", buffer) == 3
    assert bytes(buffer[:3]) == b"678"
    assert store.read_into("set", bytearray(2)) is None
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_t17_backoff_is_jittered_capped_and_differs_by_device():
    first, again, other = (
        [backoff.next_ms() for _ in range(200)]
        for backoff in (Backoff("cam1"), Backoff("cam1"), Backoff("cam2"))
    )
    assert first == again
    assert first != other
    assert all(0 <= wait <= min(30000, 1000 << number) for number, wait in enumerate(first))
    late = first[10:]
    assert min(late) < 3000
    assert max(late) > 27000


def test_t17_thousand_devices_do_not_come_back_together():
    waits = [Backoff(f"cam{number}").next_ms() for number in range(1000)]
    busiest = max(sum(1 for wait in waits if wait // 100 == slot) for slot in range(10))
    assert busiest <= 200


@pytest.mark.parametrize(("away_s", "window_s"), [(0, 1), (5, 2), (60, 30)])
def test_t17_a_broker_that_comes_back_is_not_run_over(away_s, window_s):
    """1,000 clients lose it together: peak connects a second are at most twice N / window."""
    accepted = []
    for number in range(1000):
        backoff = Backoff(f"cam{number}")
        now_ms = backoff.next_ms()
        while now_ms < away_s * 1000:
            now_ms += backoff.next_ms()
        accepted.append(now_ms // 1000)
    assert max(map(accepted.count, set(accepted))) <= 1000 / window_s * 2


def test_backoff_begins_anew_only_after_reset():
    backoff = Backoff("cam1")
    for _ in range(8):
        backoff.next_ms()
    assert backoff.attempts == 8
    backoff.reset()
    assert backoff.next_ms() <= 1000

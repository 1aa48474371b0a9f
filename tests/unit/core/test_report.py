"""Promises beside what came of them."""

import pytest
from moteye.core.decisions import Decision
from moteye.core.language import parse_policy
from moteye.core.marks import Mark
from moteye.core.report import kept_promises, wilson


def policy(certainty: str = "likely"):
    return parse_policy(f"see: a cat\ncertainty: {certainty}\nthen: [log]\n", "cat", "cat")


def alert(number: int, device: str = "cam", *, fired: bool = True) -> Decision:
    return Decision(f"id{number}", "cat", device, fired, "seen", "a cat", 1, 1, number, 1, number)


def mark(number: int, verdict: str, undone_ms: int = 0) -> Mark:
    where = ("2026-11-21", f"id{number}", "cat", "cam")
    return Mark(number, 0, *where, verdict, "", "a cat", 1, False, b"", undone_ms)


def test_alerts_are_counted_by_what_was_said_of_them():
    decisions = [alert(n) for n in range(6)] + [alert(7, fired=False), alert(8, "other")]
    marks = [mark(0, "wrong"), mark(1, "right"), mark(2, "known"), mark(3, "wrong", undone_ms=5)]
    (row, other) = kept_promises([policy()], {"cam": 900, "other": 10}, decisions, marks)
    assert (row.alerts, row.wrong, row.right, row.frames) == (6, 1, 2, 900)
    assert row.interval == (wilson(1, 900)[0], wilson(4, 900)[1])
    assert (other.camera, other.alerts) == ("other", 1)


@pytest.mark.parametrize(
    ("frames", "wrong", "verdict"),
    [
        (10_000, 0, "kept"),
        (10_000, 30, "broken"),
        (500, 0, "not yet known"),
        (0, 0, "not yet known"),
    ],
)
def test_the_verdict_waits_for_enough_frames(frames, wrong, verdict):
    decisions = [alert(n) for n in range(wrong)]
    marks = [mark(n, "wrong") for n in range(wrong)]
    (row,) = kept_promises([policy()], {"cam": frames}, decisions, marks)
    assert row.verdict == verdict


def test_a_probability_is_no_promise():
    (row,) = kept_promises([policy("p >= 0.7")], {"cam": 10}, [], [])
    assert (row.promised, row.verdict) == (None, "no promise")


@pytest.mark.parametrize(("count", "of", "low", "high"), [(0, 10, 0, 0.278), (5, 10, 0.237, 0.763)])
def test_the_interval_is_wilsons(count, of, low, high):
    assert wilson(count, of) == pytest.approx((low, high), abs=1e-3)

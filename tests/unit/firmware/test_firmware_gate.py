"""Which frames are published, and why."""

import pytest
from gate import Gate

BELOW = 230


def reasons(sims, *, settle=3, heartbeat_ms=1000, step_ms=100):
    gate = Gate(BELOW, settle, heartbeat_ms)
    return [gate.decide(sim, number * step_ms) for number, sim in enumerate(sims)]


def test_first_frame_is_published_and_followed():
    assert reasons([0, 256, 256, 256, 256, 256]) == ["first", *["settle"] * 3, None, None]


def test_change_is_published_and_followed():
    sims = [0, 256, 256, 256, 256, 100, 256, 256, 256, 256]
    assert reasons(sims)[5:] == ["change", "settle", "settle", "settle", None]


@pytest.mark.parametrize(("sim", "why"), [(BELOW - 1, "change"), (BELOW, None), (-256, "change")])
def test_change_begins_just_below_the_threshold(sim, why):
    assert reasons([0, sim], settle=0)[1] == why


def test_change_while_settling_settles_anew():
    sims = [0, 256, 10, 256, 256, 256, 256]
    assert reasons(sims) == ["first", "settle", "change", *["settle"] * 3, None]


def test_heartbeat_comes_after_silence_and_has_no_followers():
    found = reasons([0, *[256] * 25], settle=3)
    assert [number for number, why in enumerate(found) if why == "heartbeat"] == [13, 23]
    assert found[14:23] == [None] * 9


def test_change_postpones_the_heartbeat():
    found = reasons([0, *[256] * 8, 0, *[256] * 12], settle=0)
    assert found[9] == "change"
    assert found.index("heartbeat") == 19

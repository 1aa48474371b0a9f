"""`new:` with a memory, on embeddings and margins made here."""

import json
from datetime import datetime
from math import isqrt
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from moteye.core.engine import Observation
from moteye.core.memory import THINGS, VIEWS, Memory, similarities_q12
from moteye.core.novelty import span
from moteye.core.track import EXIT_MARGIN_Q8
from support.remembering import (
    DAY_S,
    EMPTY,
    MORE,
    ONE,
    SOME,
    TWO,
    Camera,
    compiled,
    fired,
    picture,
    why,
)


def test_a_thing_is_news_once_and_known_when_it_comes_back():
    camera = Camera(compiled("instance"))
    camera.look(EMPTY, picture(), 3)
    assert fired(camera.look(SOME, picture(ONE), 5)) == [True]
    camera.look(EMPTY, picture(), 3)
    back = camera.look(SOME, picture(ONE), 5)
    assert (fired(back), why(back)) == ([False], "known: plant#1, similarity 1.00")
    camera.look(EMPTY, picture(), 3)
    other = camera.look(SOME, picture(TWO), 5)
    assert fired(other) == [True]
    assert why(other).startswith("new: the nearest is plant#1, similarity 0.")


def test_t35_a_second_thing_beside_the_first_alerts_and_the_first_leaving_does_not():
    camera = Camera(compiled("instance"))
    camera.look(EMPTY, picture(), 3)
    assert fired(camera.look(SOME, picture(ONE), 5)) == [True]
    assert fired(camera.look(MORE, picture(ONE, TWO), 20)) == [True]
    assert camera.look(SOME, picture(TWO), 20) == []
    assert camera.look(EMPTY, picture(), 3) == []


def test_t34_another_light_is_no_news_and_is_remembered():
    camera = Camera(compiled("instance"))
    assert [d.reason for d in camera.look(SOME, picture(ONE), 3)] == [
        "known: it was there when watching began"
    ]
    assert camera.look(SOME + 60, picture(ONE, light=0.9), 10) == []
    camera.look(EMPTY, picture(light=0.9), 3)
    assert fired(camera.look(SOME, picture(ONE, light=0.9), 3)) == [False]
    camera.look(EMPTY, picture(), 3)
    assert fired(camera.look(SOME, picture(ONE), 3)) == [False]


def test_t34_infrared_light_is_a_view_of_its_own():
    camera = Camera(compiled("instance"))
    camera.look(SOME, picture(ONE), 3)
    night = picture(ONE, light=1)
    assert camera.look(MORE, night, 5, infrared=True) == [], "the switch is no arrival"
    memory = camera.engine.novelty.memories["p", "cam"]
    assert (
        memory.match(night, infrared=False).similarity_q12
        < memory.match(night, infrared=True).similarity_q12
    )
    assert fired(camera.look(MORE + 300, picture(ONE, TWO, light=1), 3, infrared=True)) == [True]
    assert camera.look(SOME, picture(ONE), 5) == [], "and back"


def test_one_odd_frame_within_an_episode_is_nothing():
    camera = Camera(compiled("instance"))
    camera.look(SOME, picture(ONE), 3)
    for _ in range(10):
        assert camera.look(MORE, picture(ONE, TWO)) == []
        assert camera.look(SOME, picture(ONE), 2) == []
    assert len(camera.engine.novelty.memories["p", "cam"].things) == 1


def test_a_frame_too_near_its_threshold_is_remembered_by_nothing():
    camera = Camera(compiled("instance"))
    camera.look(SOME, picture(ONE), 3)
    (thing,) = camera.engine.novelty.memories["p", "cam"].things
    before = (thing.last_ms, len(thing.views))
    camera.wait(600)
    leaving = -EXIT_MARGIN_Q8
    assert camera.look(leaving, picture(ONE, TWO), 9) == []
    assert (thing.last_ms, len(thing.views)) == before
    assert fired(camera.look(MORE, picture(ONE, TWO), 3)) == [True]


def test_for_holds_for_what_comes_to_it():
    camera = Camera(compiled("instance", "for: 10s"))
    camera.look(SOME, picture(ONE), 15)
    assert camera.look(MORE, picture(ONE, TWO), 8) == []
    camera.look(SOME, picture(ONE), 2)
    assert fired(camera.look(MORE, picture(ONE, TWO), 12)) == [True]


@pytest.mark.parametrize("order", ["agent", "device", "both", "twice"])
def test_t39_no_restart_alerts_about_what_stands_there(order):
    policies = [compiled("instance", name=f"p{n}") for n in range(20)]
    camera = Camera(*policies)
    camera.look(SOME, picture(ONE), 5)
    if order in ("agent", "both", "twice"):
        camera.restart()
    if order in ("device", "both"):
        camera.wait(30)  # a device that starts says nothing for a while; then all as before
    if order == "twice":
        camera.restart()
    assert not any(fired(camera.look(SOME, picture(ONE), 5)))
    assert not any(fired(camera.look(SOME + 50, picture(ONE, light=0.9), 5)))


def test_t39_memory_outlives_a_restart():
    camera = Camera(compiled("instance"))
    camera.look(EMPTY, picture(), 3)
    assert fired(camera.look(SOME, picture(ONE), 3)) == [True]
    camera.look(EMPTY, picture(), 3)
    camera.restart()
    camera.look(EMPTY, picture(), 3)
    assert why(camera.look(SOME, picture(ONE), 3)).startswith("known: plant#1")
    camera.look(EMPTY, picture(), 3)
    assert fired(camera.look(SOME, picture(TWO), 3)) == [True]


def test_memory_outlives_an_edit_of_the_policy():
    camera = Camera(compiled("instance"))
    camera.look(EMPTY, picture(), 3)
    camera.look(SOME, picture(ONE), 3)
    camera.look(EMPTY, picture(), 3)
    camera.engine.replace((compiled("instance", "certainty: sure"),))
    camera.look(EMPTY, picture(), 3)
    assert why(camera.look(SOME, picture(ONE), 3)).startswith("known: plant#1")


def test_learning_takes_all_as_known():
    camera = Camera(compiled("{of: instance, learn: 48h}"))
    camera.look(EMPTY, picture(), 3)
    camera.wait(3600)
    assert why(camera.look(SOME, picture(ONE), 3)) == "known: learning for 46 h more"
    camera.look(EMPTY, picture(), 3)
    camera.wait(48 * 3600)
    assert why(camera.look(SOME, picture(ONE), 3)).startswith("known: plant#1")
    camera.look(EMPTY, picture(), 3)
    assert fired(camera.look(SOME, picture(TWO), 3)) == [True]


@pytest.mark.parametrize("kind", ["class", "instance"])
def test_a_rolling_window_and_an_absence_forget(kind):
    for new in (f"{{of: {kind}, window: 14d}}", f"{{of: {kind}, after_absence: 14d}}"):
        camera = Camera(compiled(new))
        camera.look(EMPTY, picture(), 3)
        assert fired(camera.look(SOME, picture(ONE), 3)) == [True]
        camera.look(EMPTY, picture(), 3)
        camera.wait(13 * DAY_S)
        assert fired(camera.look(SOME, picture(ONE), 3)) == [False]
        camera.look(EMPTY, picture(), 3)
        camera.wait(14 * DAY_S)
        assert fired(camera.look(SOME, picture(ONE), 3)) == [True]


def test_a_long_stay_counts_as_seen_until_its_end():
    camera = Camera(compiled("{after_absence: 2d}"))
    camera.look(EMPTY, picture(), 3)
    assert fired(camera.look(SOME, picture(ONE), 3)) == [True]
    camera.wait(5 * DAY_S)
    camera.look(SOME, picture(ONE), 3)
    camera.look(EMPTY, picture(), 3)
    camera.wait(DAY_S)
    assert why(camera.look(SOME, picture(ONE), 3)) == "known: seen 24 h ago"


@pytest.mark.parametrize(
    ("window", "first", "later", "new"),
    [
        ("day", "2026-11-21 08:00", "2026-11-21 23:30", False),
        ("day", "2026-11-21 23:30", "2026-11-22 00:30", True),
        ("season", "2026-11-21 08:00", "2026-11-30 23:00", False),
        ("season", "2026-11-30 23:00", "2026-12-01 01:00", True),
        ("season", "2026-12-24 12:00", "2027-02-28 12:00", False),
        ("season", "2026-02-28 12:00", "2026-03-01 12:00", True),
    ],
)
def test_day_and_season_are_those_of_the_zone(window, first, later, new):
    camera = Camera(compiled(f"{{window: {window}, zone: Europe/Berlin}}"))

    def at(text: str) -> int:
        local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin"))
        return int(local.timestamp() * 1000)

    camera.time_ms = at(first) - 10_000
    camera.look(EMPTY, picture(), 2)
    assert fired(camera.look(SOME, picture(ONE), 2)) == [True]
    camera.look(EMPTY, picture(), 2)
    camera.time_ms = at(later)
    assert fired(camera.look(SOME, picture(ONE), 2)) == [new]


def test_a_site_shares_what_its_cameras_saw():
    camera = Camera(compiled("{of: class, per: site}"))
    camera.look(EMPTY, picture(), 2)
    assert fired(camera.look(SOME, picture(ONE), 2)) == [True]
    camera.device = "other"
    camera.look(EMPTY, picture(), 2)
    assert why(camera.look(SOME, picture(ONE), 2)).startswith("known: seen ")


def test_memory_is_bounded_and_forgets_what_was_not_seen_for_longest():
    memory = Memory(0)
    rows = np.random.default_rng(1).integers(-127, 128, (THINGS + 5, 256)).astype(np.int8)
    memory.add_thing("p", rows[0].tobytes(), infrared=False, time_ms=0)
    for number in range(1, THINGS + 5):
        memory.add_thing("p", rows[number].tobytes(), infrared=False, time_ms=number)
    assert (len(memory.things), memory.forgot) == (THINGS, 5)
    assert [thing.number for thing in memory.things[:2]] == [6, 7]
    last = memory.things[-1]
    for number in range(VIEWS + 3):
        memory.add_view(last, rows[number].tobytes(), infrared=True, time_ms=100 + number)
    assert len(last.views) == VIEWS + 1
    found = memory.match(rows[VIEWS + 2].tobytes(), infrared=True)
    assert (found.thing, found.similarity_q12) == (last, 4096)
    assert Memory.of_plain(json.loads(json.dumps(memory.plain()))) == memory


def test_similarities_are_exact_integers():
    rng = np.random.default_rng(2)
    rows = rng.integers(-128, 128, (50, 256)).astype(np.int8)
    rows[3] = 0
    found = similarities_q12(rows[0].tobytes(), rows)
    assert (found[0], found[3]) == (4096, 0)
    for row, value in zip(rows, found, strict=True):
        dot = sum(int(a) * int(b) for a, b in zip(rows[0], row, strict=True))
        square = sum(int(a) ** 2 for a in rows[0]) * sum(int(b) ** 2 for b in row)
        assert value == (dot * 4096) // max(1, isqrt(square))


def test_only_memories_that_changed_are_handed_to_the_store():
    camera = Camera(compiled("instance"))
    camera.look(EMPTY, picture())
    assert list(camera.engine.novelty.take_changed()) == [("p", "cam")], "it was born"
    camera.look(EMPTY, picture(), 5)
    camera.look(SOME, picture(ONE), 2)
    assert list(camera.engine.novelty.take_changed()) == [("p", "cam")]
    camera.look(SOME, picture(ONE), 50)
    assert camera.engine.novelty.take_changed() == {}
    camera.look(SOME, picture(ONE), 20)
    assert list(camera.engine.novelty.take_changed()) == [("p", "cam")], "once a minute"


def test_explaining_says_what_memory_says():
    camera = Camera(compiled("instance"))
    camera.look(EMPTY, picture(), 3)
    camera.look(SOME, picture(ONE), 3)
    camera.look(EMPTY, picture(), 3)
    before = camera.engine.novelty.memories["p", "cam"].plain()
    seen = Observation("cam", 1, 99, 99, camera.time_ms + 1, embedding=picture(ONE))
    row = np.array([SOME], np.int16)
    _, gates = camera.engine.explain(camera.engine.policies[0], seen, row)
    assert "known: plant#1, similarity 1.00" in [gate.text for gate in gates if not gate.passed]
    assert camera.engine.novelty.memories["p", "cam"].plain() == before


@pytest.mark.parametrize(
    ("seconds", "text"), [(41, "41 s"), (125, "2 min"), (7300, "2 h"), (15 * DAY_S, "15 d")]
)
def test_spans_are_said_in_the_largest_unit(seconds, text):
    assert span(seconds) == text

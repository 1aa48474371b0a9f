import itertools
import random

import pytest
from moteye.core.presence import RESET_MESSAGES, Presence, SequenceWindow
from moteye_protocol import wire


def test_t06_twins_are_recognised_in_any_order_within_the_window():
    rng = random.Random(6)
    for _ in range(50):
        window = SequenceWindow()
        numbers = [n for n in range(200) for _ in range(rng.randint(1, 5))]
        # Shuffled, but nothing travels further than half the window.
        numbers.sort(key=lambda n: n + rng.uniform(0, wire.SEQ_WINDOW / 2))
        taken = [n for n in numbers if window.accept(n)]
        assert sorted(taken) == list(range(200))


def test_the_window_stays_small():
    window = SequenceWindow()
    for number in range(10_000):
        assert window.accept(number)
        assert not window.accept(number)
    assert window.seen.bit_length() <= wire.SEQ_WINDOW
    assert window.numbers() == list(range(10_000 - wire.SEQ_WINDOW, 10_000))


def test_older_than_the_window_counts_as_seen():
    window = SequenceWindow()
    window.accept(1000)
    assert not window.accept(1000 - wire.SEQ_WINDOW)
    assert window.accept(1001 - wire.SEQ_WINDOW)


def test_a_late_will_of_an_older_session_is_ignored():
    presence = Presence()
    presence.status(7, "online")
    assert not presence.status(6, "offline")
    assert presence.state == "online"
    assert presence.status(7, "offline")
    assert presence.state == "offline"


def test_messages_of_an_older_session_are_stale():
    presence = Presence()
    assert presence.accept(2, 0)
    assert not presence.accept(1, 5)
    assert presence.accept(3, 0)
    assert (presence.stale, presence.session) == (1, 3)


def test_event_time_follows_the_smallest_delay():
    presence = Presence()
    presence.accept(1, 0)
    assert presence.event_time_ms(up_ms=1000, arrival_ms=50_400) == 50_400
    assert presence.event_time_ms(up_ms=2000, arrival_ms=51_000) == 51_000
    assert presence.event_time_ms(up_ms=3000, arrival_ms=59_000) == 52_001


def test_t03_births_and_deaths_in_all_orders():
    """Three sessions, each a word of life, a birth and a death: the newest session decides."""
    words = [(s, what) for s in (1, 2, 3) for what in ("online", "offline")]
    for order in itertools.permutations(words):
        for births in range(len(order) + 1):
            presence = Presence()
            for at, (session, state) in enumerate(order):
                if at == births:
                    for born in (2, 3, 1):
                        presence.accept(born, 0, is_birth=True)
                presence.status(session, state)
            last = [state for session, state in order if session == 3][-1]
            assert (presence.session, presence.state) == (3, last)


def test_t03_a_late_birth_of_an_older_session_changes_nothing():
    presence = Presence()
    presence.status(3, "offline")
    assert not presence.accept(2, 0, is_birth=True)
    assert (presence.session, presence.state) == (3, "offline")


def test_a_session_that_goes_on_is_taken_for_the_newest():
    """A device that lost its counter and has no clock begins at 1 again."""
    presence = Presence()
    presence.accept(500, 9)
    taken = [presence.accept(1, number) for number in range(20)]
    assert taken == [False] * (RESET_MESSAGES - 1) + [True] * (21 - RESET_MESSAGES)
    assert (presence.session, presence.state) == (1, "online")


def test_twins_of_an_older_session_never_make_it_the_newest():
    presence = Presence()
    presence.accept(500, 9)
    for _ in range(5):
        for number in range(RESET_MESSAGES - 1):
            assert not presence.accept(499, number)
    for number in range(100):
        assert not presence.accept(499, number, live=False)
    for number in range(100):
        presence.accept(500, 10 + number)
        assert not presence.accept(499, 10 + number)
    assert presence.session == 500


def test_a_skipped_number_is_a_gap_but_not_before_a_birth():
    presence = Presence()
    presence.accept(1, 40, live=False)
    presence.accept(1, 90)
    presence.accept(1, 91)
    assert presence.gaps == 0
    presence.accept(1, 95)
    assert presence.gaps == 1
    presence.accept(1, 93)
    presence.accept(1, 96)
    assert presence.gaps == 1
    presence.accept(1, 120, is_birth=True)
    presence.accept(1, 100)
    presence.accept(1, 121)
    assert presence.gaps == 1


@pytest.mark.parametrize("skew_ms", [-600_000, 0, 600_000])
def test_t20_skew_of_the_device_changes_no_event_time(skew_ms):
    presence = Presence()
    presence.accept(1, 0)
    told = []
    for number in range(10):
        up, now = 1000 * number, 50_000 + 1000 * number
        presence.heard(up, now + skew_ms, now)
        told.append(presence.event_time_ms(up - 30, now))
    assert told == [50_000 + 1000 * number - 30 for number in range(10)]
    assert presence.device_time_ms(60_000) == 60_000 + skew_ms


def test_t20_a_device_without_time_has_none():
    presence = Presence()
    assert presence.device_time_ms(5) is None
    presence.accept(1, 0)
    presence.heard(0, None, 5)
    assert presence.device_time_ms(5) is None


def test_t23_a_backlog_keeps_its_time():
    presence = Presence()
    presence.accept(1, 0)
    presence.heard(0, None, 1_000_000)
    hours = 6 * 3600 * 1000
    for up in range(1000, 10_000, 1000):
        told = presence.event_time_ms(up, 1_000_000 + hours)
        assert 1_000_000 + up <= told <= 1_000_000 + up + hours // 5000


@pytest.mark.parametrize("ppm", [-100, 100])
def test_clocks_of_another_rate_are_followed_for_a_month(ppm):
    presence = Presence()
    presence.accept(1, 0)
    for minute in range(0, 30 * 24 * 60, 7):
        now = minute * 60_000
        up = now + now * ppm // 1_000_000
        presence.heard(up, None, now)
        assert abs(presence.event_time_ms(up, now) - now) < 200


def test_a_window_comes_back_from_its_text_and_from_the_list_of_older_stores():
    window = SequenceWindow()
    for number in (0, 1, 5, 300, 299, 90, 600, 601):
        window.accept(number)
    again = SequenceWindow.of_text(window.text())
    assert (again.newest, again.numbers()) == (601, window.numbers())
    assert not again.accept(600)
    assert again.accept(599)
    assert SequenceWindow.of_text("[1, 2, 7]").numbers() == [1, 2, 7]
    assert SequenceWindow.of_text(SequenceWindow().text()) == SequenceWindow()

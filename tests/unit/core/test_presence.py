import random

from moteye.core.presence import Presence, SequenceWindow
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
    assert len(window._seen) <= 2 * wire.SEQ_WINDOW


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
    assert presence.event_time_ms(up_ms=3000, arrival_ms=59_000) == 52_000

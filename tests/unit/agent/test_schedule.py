"""`while:` against the calendar: every minute over both clock changes."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from moteye.core.language import parse_policy
from moteye.schedule import WhileSchedule

# Zone, and a day on which clocks go forward and one on which they go back.
CHANGES = [
    ("Europe/Berlin", "2026-03-29", "2026-10-25"),
    ("America/New_York", "2026-03-08", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-10-04", "2026-04-05"),  # by half an hour
    ("Africa/Cairo", "2026-04-24", "2026-10-29"),  # at midnight
]
SKIP_TWO_TO_THREE = ("Europe/Berlin", "America/New_York")
WINDOWS = ["22:00-06:00", "01:30-02:30", "02:15-02:45", "00:00-24:00", "23:30-00:30", "02:30-07:00"]


def schedule(text: str) -> WhileSchedule:
    hours = parse_policy(f"see: a\nthen: [log]\nwhile: {text}\n", "p", "p").hours
    assert hours is not None
    return WhileSchedule(hours)


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def at(text: str, zone: str) -> int:
    return ms(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("zone", "forward", "back"), CHANGES)
def test_t21_over_clock_changes_a_window_opens_once_a_day_and_is_never_lost(
    zone, forward, back, window
):
    hours = schedule(f"{{time: {window}, zone: {zone}}}")
    begin = window.split("-")[0]
    for day in (forward, back):
        noon = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        minutes = [noon + timedelta(minutes=step) for step in range(-36 * 60, 36 * 60)]
        open_now = [not hours.closed(ms(minute)) for minute in minutes]
        opened = [
            b for (_, was), (b, is_) in pairwise(zip(minutes, open_now, strict=True)) if is_ > was
        ]
        if window == "00:00-24:00":
            assert all(open_now)
            continue
        days = [minute.astimezone(ZoneInfo(zone)).date() for minute in opened]
        assert len(days) == len(set(days)), f"{day}: opened twice"
        skipped = window == "02:15-02:45" and day == forward and zone in SKIP_TWO_TO_THREE
        opens = datetime.fromisoformat(day).date() in days
        assert opens is not skipped or begin > "12", f"{day}: lost"


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins():
    hours = schedule("{days: fri, time: 22:00-06:00, zone: Europe/Berlin}")
    for text, open_ in [
        ("2026-11-20T21:59", False),
        ("2026-11-20T22:00", True),
        ("2026-11-21T05:59", True),
        ("2026-11-21T06:00", False),
        ("2026-11-21T23:00", False),
        ("2026-11-20T05:00", False),
    ]:
        assert (hours.closed(at(text, "Europe/Berlin")) == "") is open_, text


def test_what_is_closed_says_by_which_number():
    hours = schedule("{days: mon-fri, time: 08:00-18:00, zone: Europe/Berlin}")
    text = hours.closed(at("2026-11-21T10:00", "Europe/Berlin"))
    assert text == "sat 10:00 is outside mon,tue,wed,thu,fri 08:00-18:00"


def test_the_sun_is_asked_at_the_place_also_where_it_does_not_set():
    berlin = schedule("{sun: down, place: [52.5, 13.4]}")
    assert berlin.closed(at("2026-11-21T12:00", "Europe/Berlin")).startswith("sun 1")
    assert berlin.closed(at("2026-11-21T20:00", "Europe/Berlin")) == ""
    tromso = schedule("{sun: down, place: [69.6, 18.9]}")
    assert tromso.closed(at("2026-06-21T00:00", "Europe/Oslo"))
    assert not tromso.closed(at("2026-12-21T12:00", "Europe/Oslo"))


def test_the_next_opening_is_the_first_minute_that_is_open():
    hours = schedule("{days: mon-fri, time: 08:00-18:00, zone: Europe/Berlin}")
    saturday = at("2026-11-21T10:00:30", "Europe/Berlin")
    assert hours.opens_ms(saturday) == at("2026-11-23T08:00", "Europe/Berlin")

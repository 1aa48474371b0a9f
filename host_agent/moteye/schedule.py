"""`while:` made ready: time zones and the sun. A function of the time that is handed in."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from astral import Observer
from astral.sun import elevation

from moteye.core.language import DAYS, Hours, New

_HORIZON_DEGREES = -0.833  # the upper limb at the horizon, with refraction
_SEARCH_MINUTES = 8 * 24 * 60


def calendar_period(new: New) -> Callable[[int], int]:
    """The number of the local day or season of a time in ms; the first season begins with March."""
    zone = ZoneInfo(new.zone)

    def number(time_ms: int) -> int:
        local = datetime.fromtimestamp(time_ms / 1000, zone)
        return local.toordinal() if new.window == "day" else (local.year * 12 + local.month) // 3

    return number


class WhileSchedule:
    """Days, time windows and sun of one policy.

    Windows are local wall time. Where clocks go forward over a window's beginning it opens at the
    jump; where they go back, the repeated hour counts as the minute before the jump, so that a
    window opens once. A window over midnight belongs to the day on which it begins.
    """

    def __init__(self, hours: Hours) -> None:
        self._hours = hours
        self._zone = ZoneInfo(hours.zone) if hours.zone else None
        self._windows = [tuple(map(_minute, text.split("-"))) for text in hours.time]
        self._days = {DAYS.index(day) for day in hours.days}
        self._place = Observer(*hours.place) if hours.place else None

    def closed(self, time_ms: int) -> str:
        """Why it may not alert at `time_ms`; empty when it may."""
        moment = datetime.fromtimestamp(time_ms / 1000, UTC)
        if self._zone is not None and not self._in_window(self._wall(moment)):
            local = moment.astimezone(self._zone)
            days = [",".join(self._hours.days)] if len(self._days) < 7 else []
            wanted = " ".join([*days, *self._hours.time])
            return f"{DAYS[local.weekday()]} {local:%H:%M} is outside {wanted}"
        if self._hours.sun is not None and self._place is not None:
            degrees = elevation(self._place, moment)
            if (degrees >= _HORIZON_DEGREES) != (self._hours.sun == "up"):
                return f"sun {degrees:.1f}° is not {self._hours.sun}"
        return ""

    def opens_ms(self, time_ms: int) -> int:
        """The first minute from `time_ms` on at which it may; a week on where there is none."""
        minute = -(-time_ms // 60_000)
        for step in range(_SEARCH_MINUTES):
            if not self.closed((minute + step) * 60_000):
                return (minute + step) * 60_000
        return time_ms + _SEARCH_MINUTES * 60_000

    def _wall(self, moment: datetime) -> datetime:
        """Local wall time that never goes back."""
        assert self._zone is not None
        local = moment.astimezone(self._zone)
        while local.fold:
            moment -= timedelta(minutes=1)
            local = moment.astimezone(self._zone)
        return local

    def _in_window(self, wall: datetime) -> bool:
        minute, day = wall.hour * 60 + wall.minute, wall.weekday()
        if not self._windows:
            return day in self._days
        for begin, end in self._windows:
            if begin < end:
                if day in self._days and begin <= minute < end:
                    return True
            elif (day in self._days and minute >= begin) or (
                (day - 1) % 7 in self._days and minute < end
            ):
                return True
        return False


def _minute(text: str) -> int:
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)

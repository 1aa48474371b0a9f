"""Time for events: a clock that nobody sets, and what the wall clock calls its moments."""

import time
from collections.abc import Callable

STEP_MS = 1000  # the wall clock was set when it moved by so much; less is drift
FIRST_MS, LAST_MS = 1_735_689_600_000, 2_682_374_400_000  # 2025, 2055: other times are not believed


class EventClock:
    """Milliseconds that begin as unix time and then only follow the monotonic clock (T19).

    All arrivals and durations are measured with it; `unix_ms` is for people and for the wire.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._start_ms = int(wall() * 1000)
        self._start_s = monotonic()

    def now_ms(self) -> int:
        """This moment; never falls, whatever becomes of the wall clock."""
        return self._start_ms + int((self._monotonic() - self._start_s) * 1000)

    def unix_ms(self, event_ms: int | None = None) -> int:
        """What the wall clock calls a moment of this clock; without one, now."""
        now = self.now_ms()
        return int(self._wall() * 1000) - (now - (now if event_ms is None else event_ms))

    def ahead_ms(self, known_ms: int = 0) -> int:
        """How far the wall clock is ahead of this one; `known_ms` where it was not set since."""
        unix = int(self._wall() * 1000)
        ahead = unix - self.now_ms()
        believed = FIRST_MS <= unix < LAST_MS
        return ahead if believed and abs(ahead - known_ms) >= STEP_MS else known_ms

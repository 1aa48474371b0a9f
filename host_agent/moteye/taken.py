"""Which messages of which device were taken, and what a store must be told of that.

A row of a device says which numbers of its session were taken. It need not be written with every
frame: those of the latest frames are in the recording, in the same transaction. So a row is written
when its device is new or begins a session, and all that changed together now and then; a start
reads the rows and the latest frames behind them.
"""

import time
from collections.abc import Callable, Iterable, Iterator

from moteye.core.presence import SequenceWindow
from moteye.core.seen import Observation

LAG_FRAMES = 5_000  # rows are hardly further behind; a start looks through twice as many
LAG_S = 5.0
Row = tuple[int, str, int | None]


class Taken:
    """Each device's session, the window of its numbers, and the offset of its clock in ms."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._windows: dict[str, tuple[int, SequenceWindow]] = {}
        self._offsets: dict[str, int | None] = {}
        self._new: set[str] = set()  # devices, and sessions of devices
        self._touched: set[str] = set()
        self._frames = 0
        self._written_s = now_s()

    def take(self, seen: Observation) -> bool:
        """Whether a frame is new, to this run and to earlier ones; from now on it is not."""
        self._touched.add(seen.device)
        self._frames += 1
        return self._window(seen.device, seen.session).accept(seen.number)

    def _window(self, device: str, session: int) -> SequenceWindow:
        known = self._windows.get(device)
        if known is None or known[0] != session:
            known = self._windows[device] = (session, SequenceWindow())
            self._new.add(device)
        return known[1]

    def offset_is(self, device: str, offset_ms: int | None) -> None:
        """How far a device's clock is behind the host's."""
        self._offsets[device] = offset_ms

    def clock_offsets(self) -> Iterator[tuple[str, int, int]]:
        """(device, session, offset in ms)."""
        for device, (session, _) in self._windows.items():
            offset_ms = self._offsets.get(device)
            if offset_ms is not None:
                yield device, session, offset_ms

    def restore(self, rows: dict[str, Row], frames: Iterable[tuple[str, int, int]]) -> None:
        """Go on from the rows of a store and its latest frames (device, session, number)."""
        for device, (session, numbers, offset_ms) in rows.items():
            self._windows[device] = (session, SequenceWindow.of_text(numbers))
            self._offsets[device] = offset_ms
        for device, session, number in frames:
            self._window(device, session).accept(number)
        self._new.clear()

    def rows(self, ahead_ms: int, *, every: bool = False) -> dict[str, Row]:
        """What is to be written with the present transaction; `every`: all that is not yet.

        `ahead_ms`: how far the wall clock is ahead; the next run begins with wall time.
        """
        now_s = self._now_s()
        due = every or self._frames >= LAG_FRAMES or now_s - self._written_s >= LAG_S
        devices = self._touched if due else self._new
        found = {}
        for device in devices:
            session, window = self._windows[device]
            offset_ms = self._offsets.get(device)
            if offset_ms is not None:
                offset_ms += ahead_ms
            found[device] = (session, window.text(), offset_ms)
        self._new.clear()
        if due:
            self._touched.clear()
            self._frames, self._written_s = 0, now_s
        return found

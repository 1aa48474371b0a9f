"""Which message of which device counts: sessions, duplicates, gaps. No I/O, no clock."""

import json
from dataclasses import dataclass, field

from moteye_protocol import wire

RESET_MESSAGES = 8  # of one older session in a row: the device lost its counter
DRIFT = 5000  # one part in so many that two clocks may differ in rate: 200 ppm
_ALL = (1 << wire.SEQ_WINDOW) - 1


@dataclass
class SequenceWindow:
    """Recognises twins of QoS 1 delivery within the last `seq_window` numbers of one session.

    Bit i of `seen` says whether the number `newest` - i was taken.
    """

    newest: int = -1
    seen: int = 0

    def accept(self, number: int) -> bool:
        """Whether `number` is seen for the first time; older than the window counts as seen."""
        ahead = number - self.newest
        if ahead > 0:
            # A leap beyond the window leaves nothing of it.
            self.seen = ((self.seen << ahead) & _ALL) | 1 if ahead < wire.SEQ_WINDOW else 1
            self.newest = number
            return True
        bit = 1 << -ahead
        if ahead <= -wire.SEQ_WINDOW or self.seen & bit:
            return False
        self.seen |= bit
        return True

    def numbers(self) -> list[int]:
        """The numbers taken within the window, in their order."""
        span = range(min(self.newest, wire.SEQ_WINDOW - 1), -1, -1)
        return [self.newest - i for i in span if self.seen >> i & 1]

    def text(self) -> str:
        """For a store."""
        return f"{self.newest}:{self.seen:x}"

    @classmethod
    def of_text(cls, text: str) -> "SequenceWindow":
        """The window that `text` came from; also the list of numbers that stores once held."""
        if text.startswith("["):
            window = cls()
            for number in json.loads(text):
                window.accept(number)
            return window
        newest, _, seen = text.partition(":")
        return cls(int(newest), int(seen, 16))


@dataclass
class Presence:
    """The life of one device as its messages tell it.

    A message of an older session is not news; a death counts only for the session that it names.
    `gaps` counts the times that a sequence number was skipped while the device was heard live,
    `backs` those that an older session spoke after a newer one: two devices share an id (T04).
    """

    session: int = -1
    state: str = "offline"
    window: SequenceWindow = field(default_factory=SequenceWindow)
    clock_offset_ms: int | None = None
    twins: int = 0
    stale: int = 0
    gaps: int = 0
    backs: int = 0
    _spoke: int = -1
    _expected: int | None = None
    _offset_set_ms: int = 0
    _unix_at_start_ms: int | None = None
    _older: tuple[int, int, int] = (-1, -1, 0)

    def accept(
        self, session: int, number: int, *, live: bool = True, is_birth: bool = False
    ) -> bool:
        """Whether a message with this session and sequence number is new.

        `live`: it was not retained. A birth tells all there is to know, so numbers that were
        skipped before it are no gap.
        """
        if live:
            self.backs += session < self._spoke
            self._spoke = session
        if session < self.session and not (live and self._goes_on(session, number)):
            self.stale += 1
            return False
        if session != self.session:
            self._begin(session)
        if not self.window.accept(number):
            self.twins += 1
            return False
        if live:
            self._older = (-1, -1, 0)
            if self._expected is not None and number > self._expected and not is_birth:
                self.gaps += 1
            self._expected = max(self._expected or 0, number + 1)
        return True

    def status(self, session: int, state: str) -> bool:
        """Take a status message; returns whether the state changed."""
        if session < self.session:
            self.stale += 1
            return False
        changed = session > self.session or state != self.state
        if session > self.session:
            self._begin(session)
        self.state = state
        return changed

    def heard(self, up_ms: int, unix_ms: int | None, arrival_ms: int) -> None:
        """A live message was made at `up_ms`, which the device's clock calls `unix_ms`."""
        self.event_time_ms(up_ms, arrival_ms)
        self._unix_at_start_ms = None if unix_ms is None else unix_ms - up_ms

    def resume(self, offset_ms: int, now_ms: int) -> None:
        """Go on with the offset that an earlier run of the agent knew for this session."""
        self.clock_offset_ms = offset_ms
        self._offset_set_ms = now_ms

    def event_time_ms(self, up_ms: int, arrival_ms: int) -> int:
        """Host time of a moment in device time.

        The smallest delay seen in the session sets the offset; it grows by no more than two
        clocks may drift apart, so that what arrives late keeps its time.
        """
        offset = arrival_ms - up_ms
        if self.clock_offset_ms is not None:
            since_ms = max(0, arrival_ms - self._offset_set_ms)
            drifted = self.clock_offset_ms + since_ms // DRIFT
            if offset > drifted:
                return up_ms + drifted
        self.clock_offset_ms = offset
        self._offset_set_ms = arrival_ms
        return arrival_ms

    def device_time_ms(self, now_ms: int) -> int | None:
        """What the device's own clock calls this moment; None where it has told no time."""
        if self._unix_at_start_ms is None or self.clock_offset_ms is None:
            return None
        return now_ms - self.clock_offset_ms + self._unix_at_start_ms

    def _goes_on(self, session: int, number: int) -> bool:
        """Whether an older session has said so much that it must be the newest."""
        known, last, count = self._older
        if session != known:
            count = 0
        elif number <= last:
            return False
        self._older = (session, number, count + 1)
        return count + 1 >= RESET_MESSAGES

    def _begin(self, session: int) -> None:
        self.session = session
        self.state = "online"
        self.window = SequenceWindow()
        self.clock_offset_ms = None
        self._expected = None
        self._unix_at_start_ms = None

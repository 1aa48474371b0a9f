"""Which message of which device counts: sessions, duplicates, gaps. No I/O, no clock."""

from dataclasses import dataclass, field

from moteye_protocol import wire


@dataclass
class SequenceWindow:
    """Recognises twins of QoS 1 delivery within the last `seq_window` numbers of one session."""

    newest: int = -1
    _seen: set[int] = field(default_factory=set)

    def accept(self, number: int) -> bool:
        """Whether `number` is seen for the first time; older than the window counts as seen."""
        if number in self._seen or number <= self.newest - wire.SEQ_WINDOW:
            return False
        self._seen.add(number)
        if number > self.newest:
            self.newest = number
            if len(self._seen) > 2 * wire.SEQ_WINDOW:
                floor = number - wire.SEQ_WINDOW
                self._seen = {seen for seen in self._seen if seen > floor}
        return True

    def numbers(self) -> list[int]:
        """The numbers taken within the window, for a store."""
        return sorted(self._seen)[-wire.SEQ_WINDOW :]

    @classmethod
    def of_numbers(cls, numbers: list[int]) -> "SequenceWindow":
        """The window that `numbers` came from."""
        return cls(max(numbers, default=-1), set(numbers))


@dataclass
class Presence:
    """The life of one device as its messages tell it.

    A message of an older session is not news; a death counts only for the session that it names.
    """

    session: int = -1
    state: str = "offline"
    window: SequenceWindow = field(default_factory=SequenceWindow)
    clock_offset_ms: int | None = None
    twins: int = 0
    stale: int = 0

    def accept(self, session: int, number: int) -> bool:
        """Whether a message with this session and sequence number is new."""
        if session < self.session:
            self.stale += 1
            return False
        if session > self.session:
            self._begin(session)
        if not self.window.accept(number):
            self.twins += 1
            return False
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

    def event_time_ms(self, up_ms: int, arrival_ms: int) -> int:
        """Host time of a moment in device time.

        The smallest delay seen in the session sets the offset.
        """
        offset = arrival_ms - up_ms
        if self.clock_offset_ms is None or offset < self.clock_offset_ms:
            self.clock_offset_ms = offset
        return up_ms + self.clock_offset_ms

    def _begin(self, session: int) -> None:
        self.session = session
        self.state = "online"
        self.window = SequenceWindow()
        self.clock_offset_ms = None

"""Acknowledging QoS 1 messages by hand: when the work is done, in the order of arrival."""

from collections import deque
from collections.abc import Callable


class AckQueue:
    """PUBACKs leave in the order in which the messages came, as MQTT 3.1.1 wants (4.6.0-2).

    `send(message ids)` sends some; `soon(call)` makes the call when the present work is done, so
    that a batch leaves in one piece. A queue belongs to one session of one client: `close` it with
    that, and what is acknowledged later goes nowhere; the broker delivers those again.
    """

    def __init__(
        self, send: Callable[[list[int]], object], soon: Callable[[Callable[[], None]], object]
    ) -> None:
        self._send = send
        self._soon = soon
        self._waiting: deque[list[object]] = deque()  # [message id, whether it is done]
        self._open = True
        self._due = False

    def expect(self, message_id: int) -> Callable[[], None]:
        """A message has come; call what is returned when it may be acknowledged."""
        entry: list[object] = [message_id, False]
        self._waiting.append(entry)

        def done() -> None:
            entry[1] = True
            if not self._due:
                self._due = True
                self._soon(self._flush)

        return done

    def close(self) -> None:
        """The session is over."""
        self._open = False

    def _flush(self) -> None:
        self._due = False
        ready: list[int] = []
        while self._open and self._waiting and self._waiting[0][1]:
            identifier = self._waiting.popleft()[0]
            assert isinstance(identifier, int)
            ready.append(identifier)
        if ready:
            self._send(ready)

"""Acknowledging QoS 1 messages by hand: when the work is done, in the order of arrival."""

from collections import deque
from collections.abc import Callable


class AckQueue:
    """PUBACKs leave in the order in which the messages came, as MQTT 3.1.1 wants (4.6.0-2).

    `send(message id)` sends one. A queue belongs to one session of one client: `close` it with
    that, and what is acknowledged later goes nowhere; the broker delivers those again.
    """

    def __init__(self, send: Callable[[int], object]) -> None:
        self._send = send
        self._waiting: deque[list[object]] = deque()  # [message id, whether it is done]
        self._open = True

    def expect(self, message_id: int) -> Callable[[], None]:
        """A message has come; call what is returned when it may be acknowledged."""
        entry: list[object] = [message_id, False]
        self._waiting.append(entry)

        def done() -> None:
            entry[1] = True
            while self._open and self._waiting and self._waiting[0][1]:
                identifier = self._waiting.popleft()[0]
                assert isinstance(identifier, int)
                self._send(identifier)

        return done

    def close(self) -> None:
        """The session is over."""
        self._open = False

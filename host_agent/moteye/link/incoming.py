"""What comes in, in as few calls as the libraries allow: bytes from the socket, then messages."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiomqtt

_CHUNK = 65_536


class ReadAhead:
    """A socket read in large pieces: paho asks for each packet in four calls of a few bytes.

    `pending` tells how much is left, as an SSL socket does, so that paho's caller goes on reading.
    """

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._data = b""
        self._at = 0

    def recv(self, size: int) -> bytes:
        """At most `size` bytes; raises what the socket raises when there are none."""
        if self._at == len(self._data):
            self._data, self._at = self._socket.recv(max(size, _CHUNK)), 0
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def pending(self) -> int:
        """Bytes that can be had without waiting for the socket."""
        inside = self._socket.pending() if hasattr(self._socket, "pending") else 0
        return len(self._data) - self._at + int(inside)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


class Incoming(asyncio.Queue[aiomqtt.Message | None]):
    """Messages that wait for their handler; None behind the last, once the line is gone.

    Beyond `maxsize` those of QoS 0 are dropped and counted by `dropped`; of QoS 1 the broker sends
    no more than it may have unacknowledged, and none is ever dropped.
    """

    def __init__(self, maxsize: int, dropped: Callable[[], None]) -> None:
        super().__init__()
        self._most = maxsize
        self._dropped = dropped

    def put_nowait(self, item: aiomqtt.Message | None) -> None:
        """Take a message from the library."""
        if item is not None and item.qos == 0 and self.qsize() >= self._most:
            self._dropped()
        else:
            super().put_nowait(item)

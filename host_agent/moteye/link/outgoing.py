"""What goes out, at the end of the turn in which it was said."""

import asyncio
from typing import Any

from paho.mqtt.client import Client


def write_soon(paho: Client, loop: asyncio.AbstractEventLoop) -> None:
    """Have `paho` write once the present work is done, all that there is by then.

    aiomqtt asks the loop to tell when the socket takes bytes, which it nearly always does: two
    turns of the loop and two system calls for each message. It is left to that only when the
    socket is full. Call it from the loop, once connected.
    """
    when_it_takes_bytes = paho.on_socket_register_write
    assert when_it_takes_bytes is not None

    def write() -> None:
        try:
            paho.loop_write()
            full = paho.want_write()
        except Exception:  # noqa: BLE001  aiomqtt's own writer meets it again and ends the session
            full = True
        if full and paho._sock is not None:
            when_it_takes_bytes(paho, None, paho._sock)

    def register(*_: Any) -> None:
        loop.call_soon(write)

    paho.on_socket_register_write = register

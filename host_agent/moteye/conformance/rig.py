"""Power over a device, its line and its broker; and the line itself."""

import asyncio
import contextlib
import random
import socket
from types import TracebackType
from typing import Protocol, Self

_CONNECT = 0x10
_HEADER_BYTES = 10  # of CONNECT: name, level, flags, keepalive


class Rig(Protocol):
    """What a check may do beside talking over the broker."""

    line: "Line"

    async def kill(self) -> None:
        """End the device at once, as a power cut does."""

    async def stop(self) -> None:
        """Let the device say goodbye and end."""

    async def restart(self) -> None:
        """Start the device again; what it stored is still there."""

    async def restart_broker(self) -> None:
        """End the broker and start it without anything that it held."""


class Line:
    """A TCP line to a broker that can be cut, and that cuts what the broker says into small pieces.

    `longest`: pieces of 1..longest random bytes; None: as they come. `client_ids` of all CONNECTs.
    """

    def __init__(self, port: int) -> None:
        self.port = 0
        self.longest: int | None = None
        self.client_ids: list[str] = []
        self._target_port = port
        self._random = random.Random(1)
        self._writers: set[asyncio.StreamWriter] = set()
        self._readers: set[asyncio.StreamReader] = set()
        self._silent: set[asyncio.StreamReader] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def cut(self) -> None:
        """Break all connections; new ones are served."""
        for writer in list(self._writers):
            writer.transport.abort()

    def silence(self) -> None:
        """Swallow all that the connections of now say, without ending them; new ones are served."""
        self._silent |= self._readers

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.close()
            return
        for source, sink, is_up in ((reader, far_writer, True), (far_reader, writer, False)):
            endpoint = sink.transport.get_extra_info("socket")
            endpoint.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._writers.add(sink)
            self._readers.add(source)
            task = asyncio.create_task(self._pump(source, sink, is_up))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_up: bool
    ) -> None:
        head: bytearray | None = bytearray() if is_up else None
        try:
            while data := await reader.read(4096):
                if head is not None:
                    head += data
                    name = client_id(bytes(head))
                    if name is not None:
                        self.client_ids.append(name)
                        head = None
                if reader not in self._silent:
                    await self._put(writer, data, None if is_up else self.longest)
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            self._readers.discard(reader)
            self._silent.discard(reader)
            with contextlib.suppress(OSError):
                writer.close()

    async def _put(self, writer: asyncio.StreamWriter, data: bytes, longest: int | None) -> None:
        at = 0
        while at < len(data):
            size = self._random.randint(1, longest) if longest else len(data)
            writer.write(data[at : at + size])
            await writer.drain()
            at += size
            if longest:
                await asyncio.sleep(0)


def client_id(head: bytes) -> str | None:
    """The client id of a CONNECT that begins with these bytes; None where there are too few."""
    if len(head) < 2 or head[0] != _CONNECT:
        return None
    at = 1
    while at < len(head) and head[at] & 0x80:
        at += 1
    at += 1 + _HEADER_BYTES
    size = int.from_bytes(head[at : at + 2], "big")
    raw = head[at + 2 : at + 2 + size]
    return raw.decode(errors="replace") if len(head) >= at + 2 + size and size else None

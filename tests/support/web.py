"""A small HTTP server that answers as a test tells it to."""

import asyncio
import contextlib
from contextlib import asynccontextmanager


@asynccontextmanager
async def web_server(*statuses: int, headers: str = ""):
    """Answers with `statuses` in turn, then with the last; yields its port and the requests."""
    requests: list[tuple[str, dict, bytes]] = []
    left = list(statuses)

    async def answer(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        sent = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
        body = await reader.readexactly(int(sent.get("content-length", "0")))
        requests.append((head[0], sent, body))
        status = left.pop(0) if len(left) > 1 else left[0]
        writer.write(
            f"HTTP/1.1 {status} X\r\n{headers}content-length: 0\r\n".encode()
            + b"connection: close\r\n\r\n"
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], requests
    finally:
        server.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 2)

"""A connection for as long as one command takes."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from moteye.link.connection import BrokerUrl, Connection, Handler


@contextlib.asynccontextmanager
async def running(
    url: BrokerUrl,
    name: str,
    subscriptions: list[tuple[str, int]],
    on_message: Handler | None = None,
) -> AsyncIterator[Connection]:
    """A connection that has been let in; it ends with the block.

    `name` makes its client id. Raises LinkError where no broker lets it in.
    """
    connection = Connection(
        url,
        client_id=f"moteye-{name}-{time.time_ns() % 1_000_000_000}",
        subscriptions=subscriptions,
        on_message=on_message,
    )
    task = asyncio.create_task(connection.run())
    try:
        await connection.wait()
        yield connection
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

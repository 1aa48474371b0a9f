"""aiomqtt's client, of which a task that was told to end does end."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import aiomqtt

T = TypeVar("T")


class CancellableClient(aiomqtt.Client):
    """Connects, subscribes, publishes and disconnects within `timeout` as the library does.

    Before Python 3.12 asyncio.wait_for, by which the library waits for the broker's answers,
    forgets a cancellation that comes between an answer and the task's next turn
    (https://github.com/python/cpython/issues/86296): the task lives on, and who awaits its end
    waits for ever. asyncio.timeout forgets none.
    """

    async def _wait_for(self, fut: Awaitable[T], timeout: float | None) -> T:  # noqa: ASYNC109
        try:
            async with asyncio.timeout(self.timeout if timeout is None else timeout):
                return await fut
        except TimeoutError:
            raise aiomqtt.MqttError("Operation timed out") from None

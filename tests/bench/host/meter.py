"""One side of the throughput measurement, as a process of its own.

    python meter.py bare PORT COUNT
    python meter.py agent PORT COUNT STORE POLICIES

Prints "ready" once it hears the broker, then the seconds from the first message to the last: for
`bare` decoded, for `agent` decided and committed. `agent` with COUNT 0 runs until it is killed.
"""

import asyncio
import logging
import sys
import time
from typing import Any

import aiomqtt
import msgpack
import structlog


async def bare(port: int, count: int) -> None:
    """What any program in Python has to pay: the library's loop and the decoding."""
    async with aiomqtt.Client("127.0.0.1", port, identifier="bare") as client:
        await client.subscribe("moteye/v1/+/embedding", 1)
        print("ready", flush=True)
        began, seen = 0.0, 0
        async for message in client.messages:
            began = began or time.monotonic()
            msgpack.unpackb(message.payload)
            seen += 1
            if seen == count:
                break
        print(time.monotonic() - began, flush=True)


async def agent(port: int, count: int, store: str, policies: str) -> None:
    """The whole agent, durable."""
    from moteye.agent import Agent
    from moteye.config import load_settings
    from moteye.interpreter import collect_seldom, take_turns_often

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    settings = load_settings(policies=policies, broker=f"mqtt://127.0.0.1:{port}", store=store)
    one = Agent(settings)
    take_turns_often()
    running = asyncio.create_task(one.run())
    await one.ready.wait()
    collect_seldom()
    print("ready", flush=True)
    if not count:
        await running
    judge, took = one.judge.judge, asyncio.get_running_loop().create_future()
    began, seen = 0.0, 0

    async def metered(items: list[Any]) -> Any:
        nonlocal began, seen
        began = began or time.monotonic()
        decisions = await judge(items)
        seen += len(items)
        if seen >= count and not took.done():
            took.set_result(time.monotonic() - began)
        return decisions

    one.judge.judge = metered  # type: ignore[method-assign]
    print(await took, flush=True)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def main() -> None:
    """Run the side that is named."""
    side, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    asyncio.run(bare(port, count) if side == "bare" else agent(port, count, *sys.argv[4:]))


if __name__ == "__main__":
    main()

"""The embedded broker: amqtt in this process, on loopback unless told otherwise."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from amqtt.broker import Broker
from amqtt.errors import BrokerError

from moteye.errors import LinkError


@asynccontextmanager
async def embedded_broker(host: str, port: int) -> AsyncIterator[None]:
    """Run a broker on `host`:`port` for the length of the block.

    Raises LinkError when it cannot listen there.
    """
    for name in ("amqtt", "transitions"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"{host}:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    broker = Broker(config, loop=asyncio.get_running_loop())
    try:
        await broker.start()
    except (BrokerError, OSError) as error:
        raise LinkError(
            f"the embedded broker cannot listen on {host}:{port}: {error}; "
            f"another broker may run there: use it with --broker mqtt://{host}:{port}, "
            "or choose another place with --listen"
        ) from error
    try:
        yield
    finally:
        await broker.shutdown()

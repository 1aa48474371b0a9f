"""The embedded broker: amqtt in this process, on loopback unless told otherwise."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from amqtt.broker import Broker
from amqtt.errors import BrokerError

from moteye.errors import LinkError

log = structlog.get_logger("moteye.link")
SETTLE_S = 5.0
LOOK_S = 0.02
LOOKS = 3  # without anything under way, one after the other


class EmbeddedBroker:
    """A broker that runs."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def settle(self, own_client: str) -> None:
        """Take nothing more from anybody but `own_client`; wait until that has what was taken.

        What the broker acknowledged to a device is thereby acknowledged by the agent, too, which
        it does once it is written down. Gives up after SETTLE_S.
        """
        for server in self._broker._servers.values():
            if server.instance is not None:
                server.instance.close()
        for client, (_, handler) in list(self._broker.sessions.items()):
            if client != own_client and handler.writer is not None:
                with contextlib.suppress(AttributeError, RuntimeError):  # it is closing already
                    handler.writer._writer.transport.pause_reading()
        quiet = 0
        try:
            async with asyncio.timeout(SETTLE_S):
                while quiet < LOOKS:
                    quiet = 0 if self._busy() else quiet + 1
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            log.error("the embedded broker still has messages that nobody has taken")

    def _busy(self) -> bool:
        broker = self._broker
        waiting = any(
            session.delivered_message_queue.qsize() for session, _ in broker.sessions.values()
        )
        under_way = any(not task.done() for task in broker._tasks_queue)
        return waiting or under_way or not broker._broadcast_queue.empty()


@asynccontextmanager
async def embedded_broker(host: str, port: int) -> AsyncIterator[EmbeddedBroker]:
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
        yield EmbeddedBroker(broker)
    finally:
        await broker.shutdown()

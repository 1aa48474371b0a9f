"""The embedded broker: amqtt in this process, on loopback unless told otherwise."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, ItemsView, Iterator
from contextlib import asynccontextmanager

import structlog
from amqtt.broker import Broker
from amqtt.errors import BrokerError
from amqtt.session import Session

from moteye.errors import LinkError

log = structlog.get_logger("moteye.link")
SETTLE_S = 5.0
LOOK_S = 0.02
LOOKS = 3  # without anything under way, one after the other


class Filters(dict[str, list[tuple[Session, int]]]):
    """Who subscribed to what. Loops over it are over what it held when they began.

    amqtt 0.12 waits in such loops, and where a subscription comes meanwhile, the loop ends in
    RuntimeError: who connects then is left connected and deaf.
    """

    def __iter__(self) -> Iterator[str]:
        return iter(self.copy())

    def items(self) -> ItemsView[str, list[tuple[Session, int]]]:  # type: ignore[override]
        """As they are now."""
        return self.copy().items()


class DiscreetBroker(Broker):  # type: ignore[misc]  # amqtt has no types
    """amqtt's, which tells a new client what is retained where that client itself listens.

    amqtt 0.12 tells it what is retained wherever anybody listens.
    """

    def __init__(self, config: dict[str, object]) -> None:
        super().__init__(config, loop=asyncio.get_running_loop())
        self._subscriptions = Filters()

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        listening = self._subscriptions.get(subscription[0], ())
        if any(one.client_id == session.client_id for one, _ in listening):
            await super()._publish_retained_messages_for_subscription(subscription, session)


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
    broker = DiscreetBroker(config)
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

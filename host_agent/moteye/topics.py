"""The agent's own topics, and a way to tell those who listen."""

import structlog
from moteye_protocol import wire

from moteye.errors import LinkError
from moteye.link.connection import Connection

log = structlog.get_logger("moteye.agent")
AGENT_TOPIC = f"{wire.TOPIC_ROOT}/_agent"
STATUS_TOPIC = f"{AGENT_TOPIC}/status"
ACK_TOPIC = f"{AGENT_TOPIC}/ack"
SET_TOPIC = f"{AGENT_TOPIC}/set"
FEEDBACK_TOPIC = f"{AGENT_TOPIC}/feedback"


class Subscribers:
    """Whoever listens on the agent's topics."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def tell(self, topic: str, text: str, *, qos: int, retain: bool = False) -> None:
        """Say `text` below AGENT_TOPIC; without a broker it is logged and dropped."""
        try:
            await self.say(topic, text, qos=qos, retain=retain)
        except LinkError as error:
            log.error("subscribers not told", reason=str(error))

    async def say(self, topic: str, text: str, *, qos: int, retain: bool = False) -> None:
        """As `tell`, but raises LinkError without a broker."""
        await self._connection.publish(
            f"{AGENT_TOPIC}/{topic}", text.encode(), qos=qos, retain=retain
        )

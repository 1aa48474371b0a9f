"""`moteye ack`: say that somebody has seen an alert."""

import asyncio
import contextlib
import json
import logging
from typing import Annotated, Any

import typer

from moteye.cli.common import BrokerOption, ConfigOption, set_up_logs
from moteye.config import load_settings
from moteye.errors import LinkError
from moteye.link.connection import BrokerUrl
from moteye.link.running import running
from moteye.topics import ACK_TOPIC, AGENT_TOPIC

WAIT_S = 5.0


def acknowledge(
    what: Annotated[str, typer.Argument(help="an alert's id (or its beginning), or its tag")],
    config: ConfigOption = None,
    broker: BrokerOption = None,
) -> None:
    """Acknowledge an alert: it is escalated no further."""
    set_up_logs(level=logging.ERROR)
    settings = load_settings(config, broker=broker)
    alerts = asyncio.run(_ask(settings.broker_url, what))
    if not alerts:
        print(f"nothing waits to be acknowledged by {what}")
        raise typer.Exit(1)
    print(f"acknowledged: {', '.join(alert[:8] for alert in alerts)}")


async def _ask(url: BrokerUrl, what: str) -> list[str]:
    answer: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()

    async def receive(topic: str, payload: bytes, retain: bool) -> None:
        told: dict[str, Any] = {}
        with contextlib.suppress(ValueError):
            told = json.loads(payload)
        if told.get("event") == "acknowledged" and told.get("what") == what and not answer.done():
            answer.set_result([str(alert) for alert in told["alerts"]])

    async with running(url, "ack", [(f"{AGENT_TOPIC}/event", 0)], receive) as connection:
        await connection.publish(ACK_TOPIC, json.dumps({"what": what}).encode())
        try:
            async with asyncio.timeout(WAIT_S):
                return await answer
        except TimeoutError as error:
            raise LinkError(f"no agent answered on {url!r} within {WAIT_S:g} s") from error

"""`moteye feedback`: say what an alert was; list what was said; take it back."""

import asyncio
import contextlib
import json
import logging
import time
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from moteye import feedback as said_of
from moteye.cli.common import BrokerOption, ConfigOption, StoreOption, set_up_logs
from moteye.config import load_settings
from moteye.errors import ConfigError, FeedbackError, LinkError
from moteye.link.connection import BrokerUrl
from moteye.link.running import running
from moteye.store import Store
from moteye.topics import AGENT_TOPIC, FEEDBACK_TOPIC

WAIT_S = 5.0


def feedback(
    event: Annotated[str, typer.Argument(help="an alert's id, or `list`, or `undo`")],
    said: Annotated[
        str | None, typer.Argument(help="known, wrong, right or a name; after `undo` the number")
    ] = None,
    config: ConfigOption = None,
    broker: BrokerOption = None,
    store: StoreOption = None,
) -> None:
    """Say that an alert was known, wrong or right, or what the thing is called.

    It counts from the next frame on. Where no agent answers it is written down for its next start.
    """
    settings = load_settings(config, broker=broker, store=store)
    url = settings.store_url
    if event == "list":
        _list(Store(url, read_only=True))
        return
    if said is None:
        raise ConfigError("what of it? moteye feedback EVENT known|wrong|right|NAME")
    set_up_logs(level=logging.ERROR)
    request = {"undo": said} if event == "undo" else {"event": event, "said": said}
    try:
        answer = asyncio.run(_ask(settings.broker_url, request))
    except LinkError as error:
        record = Store(url)
        mark = said_of.carried_out(record, request, time_ms=int(time.time() * 1000))
        said_of.write(record, mark)
        answer = {"ok": True, "mark": mark.number, "text": mark.text}
        print(f"no agent took it ({error}): it counts from its next start")
    if not answer["ok"]:
        raise FeedbackError(answer["text"])
    word = "taken back" if event == "undo" else "taken"
    print(f"{word}: {answer['text']} (mark {answer['mark']})")


def _list(record: Store) -> None:
    table = Table(title="what was said of alerts", title_justify="left")
    for heading in ("mark", "day", "policy", "camera", "phrase", "said", "alert", ""):
        table.add_column(heading)
    for mark in record.marks():
        table.add_row(
            str(mark.number),
            mark.day,
            mark.policy,
            mark.device,
            escape(mark.phrase),
            escape(mark.name or mark.verdict),
            mark.decision[:8],
            "taken back" if mark.undone_ms else "",
        )
    Console().print(table if table.row_count else "nothing was said of alerts yet")


async def _ask(url: BrokerUrl, request: dict[str, str]) -> dict[str, Any]:
    answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    tid = f"cli-{time.time_ns():x}"

    async def receive(topic: str, payload: bytes, retain: bool) -> None:
        told: dict[str, Any] = {}
        with contextlib.suppress(ValueError):
            told = json.loads(payload)
        if told.get("event") == "feedback" and told.get("tid") == tid and not answer.done():
            answer.set_result(told)

    asked = json.dumps({**request, "tid": tid}).encode()
    async with running(url, "feedback", [(f"{AGENT_TOPIC}/event", 1)], receive) as connection:
        await connection.publish(FEEDBACK_TOPIC, asked)
        try:
            async with asyncio.timeout(WAIT_S):
                return await answer
        except TimeoutError as error:
            raise LinkError(f"no answer on {url!r} within {WAIT_S:g} s") from error

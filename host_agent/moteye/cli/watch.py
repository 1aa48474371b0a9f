"""`moteye watch`: what happens on the broker, live."""

import asyncio
import contextlib
import json
import logging
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Annotated

import typer
from moteye_protocol import models, wire
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from moteye.cli.common import (
    BrokerOption,
    ConfigOption,
    TlsCaOption,
    TlsCertOption,
    TlsKeyOption,
    set_up_logs,
)
from moteye.config import load_settings
from moteye.link.connection import BrokerUrl
from moteye.link.devices import Devices
from moteye.link.running import running
from moteye.topics import AGENT_TOPIC

ALERT_LINES = 12


@dataclass
class _Row:
    frames: int = 0
    last: float = 0.0
    why: str = ""
    best: str = ""
    says: str = ""


@dataclass
class Board:
    """What `moteye watch` shows: a line a device, then the last alerts."""

    devices: Devices
    rows: dict[str, _Row] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    alerts: deque[dict[str, object]] = field(default_factory=lambda: deque(maxlen=ALERT_LINES))

    async def receive(self, topic: str, payload: bytes, retain: bool) -> None:
        """Take one message of the broker."""
        if topic == f"{AGENT_TOPIC}/alert":
            with contextlib.suppress(ValueError):
                self.alerts.appendleft(json.loads(payload))
            return
        if topic == f"{AGENT_TOPIC}/set":
            with contextlib.suppress(ValueError, KeyError):
                self.names = [str(name) for name in json.loads(payload)["names"]]
            return
        taken = self.devices.receive(topic, payload, retain)
        if taken is None:
            return
        device, message = taken
        row = self.rows.setdefault(device.id, _Row())
        if isinstance(message, models.Embedding):
            row.frames += 1
            row.last, row.why = time.monotonic(), message.why
        elif isinstance(message, models.Detections):
            row.best = "\n".join(
                f"{probability / 255:.2f} {self._name(index)}"
                for index, _, probability in message.rows[:3]
            )

        elif isinstance(message, models.Caption):
            row.says = message.text

    def _name(self, row: int) -> str:
        return self.names[row] if row < len(self.names) else f"row {row}"

    def table(self) -> Group:
        """The board as it stands."""
        table = Table(title="devices", title_justify="left", expand=True)
        for heading in (
            "device",
            "state",
            "frames",
            "last",
            "why",
            "prototype set",
            "best phrases",
            "in words",
        ):
            table.add_column(heading)
        for name, device in sorted(self.devices.all.items()):
            row = self.rows.get(name, _Row())
            ago = f"{time.monotonic() - row.last:.0f} s ago" if row.last else "-"
            state = device.presence.state
            colour = "green" if state == "online" else "red" if state == "offline" else "yellow"
            used = device.set_state.version if device.set_state else "-"
            table.add_row(
                *(name, f"[{colour}]{state}[/]", str(row.frames), ago, row.why, used, row.best),
                escape(row.says),
            )
        return Group(table, self._alert_table())

    def _alert_table(self) -> Table | Text:
        if not self.alerts:
            return Text("no alerts yet", style="dim")
        table = Table(title="alerts", title_justify="left", expand=True)
        keys = ("time", "policy", "camera", "phrase", "probability", "caption", "picture")
        for key in keys:
            table.add_column("in words" if key == "caption" else key)
        for alert in self.alerts:
            table.add_row(*(escape(str(alert.get(key) or "-")) for key in keys))
        return table


def watch(
    config: ConfigOption = None,
    broker: BrokerOption = None,
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    once: Annotated[
        bool, typer.Option("--once", help="print the table once after two seconds and stop")
    ] = False,
) -> None:
    """Show devices and alerts as they come; Ctrl-C ends it."""
    set_up_logs(level=logging.ERROR)
    settings = load_settings(
        config, broker=broker, tls_ca=tls_ca, tls_cert=tls_cert, tls_key=tls_key
    )
    asyncio.run(_watch(settings.broker_url, once))


async def _watch(url: BrokerUrl, once: bool) -> None:
    async def publish_nothing(topic: str, payload: bytes) -> None:
        raise AssertionError("watching publishes nothing")

    board = Board(Devices(publish_nothing))
    async with running(url, "watch", [(f"{wire.TOPIC_ROOT}/#", 0)], board.receive):
        if once:
            await asyncio.sleep(2)
            Console().print(board.table())
            return
        with Live(board.table(), refresh_per_second=4) as live:
            while True:
                await asyncio.sleep(0.25)
                live.update(board.table())

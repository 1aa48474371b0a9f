"""`moteye conformance`: try every rule of protocol/SPEC.md on a device."""

import asyncio
import json
import logging
from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from moteye.cli.common import BrokerOption, ConfigOption, set_up_logs
from moteye.config import load_settings
from moteye.conformance.bench import Bench, Failed
from moteye.conformance.kit import Result
from moteye.conformance.runner import run_kit, unknown
from moteye.conformance.simulated import run_simulated
from moteye.errors import ConfigError, LinkError
from moteye.keys import load_keys
from moteye.link.connection import BrokerUrl

SHOWN = {"passed": "[green]passed[/]", "failed": "[bold red]FAILED[/]", "not tried": "not tried"}


def conformance(
    device: Annotated[str | None, typer.Option(help="id of a device on the broker")] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="try a simulated device on a broker of its own")
    ] = False,
    swap: Annotated[
        bool,
        typer.Option(
            "--swap",
            help="allow to replace the device's prototype set; an agent brings its own back",
        ),
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="try this rule only; may be given several times")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a rule")] = False,
    config: ConfigOption = None,
    broker: BrokerOption = None,
) -> None:
    """Try every rule of the wire on a device; exit code 1 when it breaks one."""
    set_up_logs(level=logging.ERROR)
    if (device is None) is not simulate:
        raise ConfigError("say which device: either --device ID or --simulate")
    wanted = frozenset(only or ())
    if strange := unknown(wanted):
        raise ConfigError(f"there is no check for {', '.join(strange)}; see protocol/SPEC.md")
    if device is None:
        results = asyncio.run(run_simulated(wanted))
    else:
        settings = load_settings(config, broker=broker)
        keys = load_keys(settings.keys)
        key = keys.signing_key(device) if keys else None
        results = asyncio.run(_on_broker(settings.broker_url, device, swap, wanted, key))
    if as_json:
        for result in results:
            print(json.dumps(asdict(result)))
    else:
        _show(results)
    if any(result.outcome == "failed" for result in results):
        raise typer.Exit(1)


async def _on_broker(
    url: BrokerUrl, device: str, swap: bool, only: frozenset[str], key: bytes | None
) -> list[Result]:
    try:
        async with Bench(url, device, key=key) as bench:
            return await run_kit(bench, swap=swap, only=only)
    except TimeoutError:
        raise LinkError(f"no connection to {url!r}") from None
    except Failed as error:
        raise LinkError(f"{device} on {url!r}: {error}") from None


def _show(results: list[Result]) -> None:
    table = Table()
    for heading in ("rule", "", "what", "why"):
        table.add_column(heading, no_wrap=heading in ("rule", ""))
    for result in results:
        table.add_row(result.id, SHOWN[result.outcome], result.title, escape(result.reason))
    console = Console()
    console.print(table)
    count: Counter[str] = Counter(result.outcome for result in results)
    console.print(", ".join(f"{name} {count[name]}" for name in SHOWN if count[name]))

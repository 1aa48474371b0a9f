"""`moteye conformance`: try every rule of protocol/SPEC.md on a device."""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from moteye.cli.common import BrokerOption, ConfigOption, set_up_logs
from moteye.config import load_settings
from moteye.conformance.bench import Bench, Failed
from moteye.conformance.kit import Result
from moteye.conformance.runner import run_kit, unknown
from moteye.conformance.simulated import run_simulated
from moteye.errors import ConfigError, LinkError
from moteye.keys import load_keys
from moteye.link.connection import BrokerUrl

CONSOLE = Console()
SHOWN = {
    "passed": "[green]passed   [/]",
    "failed": "[bold red]FAILED   [/]",
    "not tried": "[dim]not tried[/]",
}


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
    tell = _json if as_json else _show
    if device is None:
        results = asyncio.run(run_simulated(wanted, tell))
    else:
        settings = load_settings(config, broker=broker)
        keys = load_keys(settings.keys)
        key = keys.signing_key(device) if keys else None
        results = asyncio.run(_on_broker(settings.broker_url, device, swap, wanted, key, tell))
    if not as_json:
        count: Counter[str] = Counter(result.outcome for result in results)
        CONSOLE.print(", ".join(f"{name} {count[name]}" for name in SHOWN if count[name]))
    if any(result.outcome == "failed" for result in results):
        raise typer.Exit(1)


async def _on_broker(
    url: BrokerUrl,
    device: str,
    swap: bool,
    only: frozenset[str],
    key: bytes | None,
    tell: Callable[[Result], None],
) -> list[Result]:
    try:
        async with Bench(url, device, key=key) as bench:
            return await run_kit(bench, swap=swap, only=only, on_result=tell)
    except TimeoutError:
        raise LinkError(f"no connection to {url!r}") from None
    except Failed as error:
        raise LinkError(f"{device} on {url!r}: {error}") from None


def _json(result: Result) -> None:
    print(json.dumps(asdict(result)), flush=True)


def _show(result: Result) -> None:
    """A line a rule, as it is tried; below it what was wrong."""
    line = f"{SHOWN[result.outcome]}  {result.id:20}{escape(result.title)}"
    CONSOLE.print(line, soft_wrap=True, highlight=False)
    if result.reason:
        CONSOLE.print(f"{'':11}{escape(result.reason)}", soft_wrap=True, highlight=False)

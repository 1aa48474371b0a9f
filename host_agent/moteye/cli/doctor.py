"""`moteye doctor`: tries what must be forbidden, and checks what must work."""

import asyncio
import logging
from pathlib import Path
from typing import Annotated

import typer

from moteye.cli.common import (
    BrokerOption,
    ConfigOption,
    TlsCaOption,
    TlsCertOption,
    TlsKeyOption,
    set_up_logs,
)
from moteye.config import Settings, load_settings
from moteye.doctor import Finding, examine


def doctor(
    config: ConfigOption = None,
    broker: BrokerOption = None,
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    device: Annotated[
        list[Path] | None,
        typer.Option(
            "--device", help="a device's configuration file: tries its rights while it is stopped"
        ),
    ] = None,
    strict: Annotated[bool, typer.Option(help="warnings fail, too")] = False,
) -> None:
    """Examine broker, keys and devices. Exit code 1 where something fails."""
    set_up_logs(level=logging.CRITICAL)
    settings = load_settings(
        config, broker=broker, tls_ca=tls_ca, tls_cert=tls_cert, tls_key=tls_key
    )
    found = asyncio.run(_report(settings, config, device or []))
    failed = sum(finding.state == "fail" for finding in found)
    warned = sum(finding.state == "warn" for finding in found)
    print(f"{len(found)} checks: {failed} failed, {warned} to look at")
    if failed or (strict and warned):
        raise typer.Exit(1)


async def _report(settings: Settings, config: Path | None, devices: list[Path]) -> list[Finding]:
    found = []
    async for finding in examine(settings, config=config, devices=devices):
        print(finding, flush=True)
        found.append(finding)
    return found

"""`moteye devices`: who is there, and devices made of a process and photos."""

import asyncio
import logging
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from moteye_protocol import models
from rich.console import Console
from rich.table import Table

from moteye.camera.simulate import SimulatedDevice
from moteye.cli.common import (
    BrokerOption,
    ConfigOption,
    TlsCaOption,
    TlsCertOption,
    TlsKeyOption,
    set_up_logs,
)
from moteye.config import load_settings
from moteye.errors import ConfigError
from moteye.keys import load_keys
from moteye.link.connection import BrokerUrl
from moteye.link.describing import describe
from moteye.link.devices import Device, Devices
from moteye.link.running import running

app = typer.Typer(help="List devices; run simulated ones.", no_args_is_help=True)
SETTLE_S = 1.5


@app.command("list")
def list_devices(
    config: ConfigOption = None,
    broker: BrokerOption = None,
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
) -> None:
    """List the devices that the broker knows, by their retained births."""
    set_up_logs(level=logging.ERROR)
    settings = load_settings(
        config, broker=broker, tls_ca=tls_ca, tls_cert=tls_cert, tls_key=tls_key
    )
    devices = asyncio.run(_collect(settings.broker_url))
    Console().print(_table(devices) if devices else "no devices on this broker yet")


def _table(devices: list[Device]) -> Table:
    """As narrow as its cells: eight columns have to fit into 80 letters."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("device", "state", "fw", "encoder", "dim", "set", "frames", "started"):
        table.add_column(heading, no_wrap=heading != "started", overflow="fold")
    for device in devices:
        table.add_row(*_cells(device))
    return table


def _cells(device: Device) -> tuple[str, ...]:
    birth = device.birth
    if birth is None:
        return device.id, device.presence.state, "?", "?", "?", "?", "?", "?"
    used = device.set_state.version if device.set_state else birth.set_version
    frames = "yes" if birth.frames else "no"
    return (
        device.id,
        device.presence.state,
        birth.fw,
        birth.encoder.hex(),
        str(birth.dim),
        used or "-",
        frames,
        f"{birth.reset} at {birth.stage}" if birth.stage else birth.reset or "?",
    )


async def _collect(url: BrokerUrl) -> list[Device]:
    async def publish_nothing(topic: str, payload: bytes) -> None:
        raise AssertionError("listing publishes nothing")

    devices = Devices(publish_nothing)

    async def receive(topic: str, payload: bytes, retain: bool) -> None:
        devices.receive(topic, payload, retain)

    subscriptions = [(models.topic("+", name), 1) for name in ("status", "birth", "set_state")]
    async with running(url, "list", subscriptions, receive):
        await asyncio.sleep(SETTLE_S)
    return [devices.all[name] for name in sorted(devices.all)]


def _line_settings(url: BrokerUrl) -> dict[str, object]:
    """What a device's configuration says of the broker, beside host and port."""
    found: dict[str, object] = {"user": url.user, "password": url.password}
    if not url.tls:
        return found
    if url.files.ca is None:
        raise ConfigError("a device over mqtts:// has to be told whom to believe: --tls-ca FILE")
    for name in ("ca", "cert", "key"):
        path = getattr(url.files, name)
        found[name] = str(path.resolve()) if path else None
    return {**found, "tls": True, "server_name": url.host}


@app.command("forget")
def forget(
    device_id: Annotated[str, typer.Argument(help="device id")],
    config: ConfigOption = None,
    broker: BrokerOption = None,
) -> None:
    """Clear what the broker holds of a device that is gone; it comes back by its next birth."""
    set_up_logs(level=logging.ERROR)
    url = load_settings(config, broker=broker).broker_url
    asyncio.run(forget_device(url, device_id))
    print(f"forgotten: {device_id}")


async def forget_device(url: BrokerUrl, device_id: str) -> None:
    """Empty the retained topics of a device, its birth last. Raises LinkError."""
    async with running(url, "forget", []) as connection:
        for name in ("set_state", "status", "birth"):
            await connection.publish(models.topic(device_id, name), b"", retain=True)


@app.command("describe")
def describe_what_is_seen(
    device_id: Annotated[str, typer.Argument(help="device id")],
    config: ConfigOption = None,
    broker: BrokerOption = None,
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
) -> None:
    """Ask a device to say in words what it sees, and print that."""
    set_up_logs(level=logging.ERROR)
    settings = load_settings(
        config, broker=broker, tls_ca=tls_ca, tls_cert=tls_cert, tls_key=tls_key
    )
    keys = load_keys(settings.keys)
    with Console(stderr=True).status(f"waiting for {device_id} to say it"):
        caption = asyncio.run(
            describe(settings.broker_url, device_id, keys.signing_key if keys else None)
        )
    print(caption.text)


@app.command("simulate")
def simulate(
    camera: Annotated[
        str,
        typer.Option(
            help="folder:PATH, scene:FILE; with extra `camera` video:FILE, webcam:0, rtsp://…"
        ),
    ],
    device_id: Annotated[str, typer.Option("--id", help="device id")] = "simulated",
    config: ConfigOption = None,
    broker: BrokerOption = None,
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    frames: Annotated[bool, typer.Option(help="let pictures leave the device")] = False,
    interval_ms: Annotated[int, typer.Option(help="ms between frames")] = 500,
    dim: Annotated[int, typer.Option(help="dimension the device matches at")] = 64,
    data_dir: Annotated[
        Path | None, typer.Option(help="the device's flash [default: a temporary folder]")
    ] = None,
    captions: Annotated[bool, typer.Option(help="it says in words what it sees")] = False,
) -> None:
    """Run a real device program, MicroPython and the C module, that looks through CAMERA."""
    set_up_logs()
    url = load_settings(
        config, broker=broker, tls_ca=tls_ca, tls_cert=tls_cert, tls_key=tls_key
    ).broker_url

    async def run(folder: Path) -> None:
        async with SimulatedDevice(
            device_id=device_id,
            broker_host=url.host,
            broker_port=url.port,
            broker=_line_settings(url),
            camera_spec=camera,
            data_dir=folder,
            frames=frames,
            interval_ms=interval_ms,
            dim=dim,
            settings={"captions": {"enabled": True}} if captions else {},
            on_line=lambda line: print(line, flush=True),
        ) as device:
            print(f"{device_id} looks through {camera}; Ctrl-C ends it", flush=True)
            await device.wait()

    with tempfile.TemporaryDirectory(prefix="moteye-") as temporary:
        asyncio.run(run(data_dir or Path(temporary)))

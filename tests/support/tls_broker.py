"""A mosquitto that speaks TLS only, on `localhost`."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from system.device.device_bench import Mosquitto

from support.certificates import Issued


@contextlib.asynccontextmanager
async def tls_broker(
    folder: Path, server: Issued, *, client_ca: Path | None = None
) -> AsyncIterator[Mosquitto]:
    """It shows `server`; with `client_ca` it wants certificates that this authority signed."""
    lines = [
        "listener PORT 127.0.0.1",
        "allow_anonymous true",
        f"certfile {server.cert}",
        f"keyfile {server.key}",
    ]
    if client_ca is not None:
        lines += [f"cafile {client_ca}", "require_certificate true"]
    broker = Mosquitto(folder, *lines)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()

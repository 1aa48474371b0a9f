"""A broker, a line and a simulated device, all in the kit's power."""

import asyncio
import contextlib
import secrets
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from moteye_protocol.signing import KEY_BYTES

from moteye.camera.simulate import SimulatedDevice
from moteye.conformance.bench import Bench
from moteye.conformance.kit import Result
from moteye.conformance.rig import Line
from moteye.conformance.runner import run_kit
from moteye.link.broker import embedded_broker
from moteye.link.connection import BrokerUrl

DEVICE = "conformance"
SETTINGS: dict[str, object] = {"heartbeat_ms": 100, "keepalive_s": 5, "healthy_s": 1}
INTERVAL_MS = 50
PATIENCE_S = 15.0
WATCH_S = 2.0
SCENE = "shots: [{photo: '#204060', seconds: 1}, {photo: '#a0d020', seconds: 1}]\n"
_PATHS = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"


def free_port() -> int:
    """A TCP port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Broker:
    """mosquitto where it is installed, else the embedded one; keeps nothing over a restart."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._program = shutil.which("mosquitto") or shutil.which("mosquitto", path=_PATHS)
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n",
            encoding="utf-8",
        )
        self._running = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Listen from now on."""
        if self._program is None:
            await self._running.enter_async_context(embedded_broker("127.0.0.1", self.port))
        else:
            await self._running.enter_async_context(self._mosquitto(self._program))

    async def stop(self) -> None:
        """End at once."""
        await self._running.aclose()

    @contextlib.asynccontextmanager
    async def _mosquitto(self, program: str) -> AsyncIterator[None]:
        process = await asyncio.create_subprocess_exec(
            program, "-c", str(self._config), stderr=asyncio.subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(10):
                while True:
                    with contextlib.suppress(OSError):
                        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                        writer.close()
                        break
                    await asyncio.sleep(0.02)
            yield
        finally:
            process.kill()
            await process.wait()


class SimulatedRig:
    """Our own device program, on a broker and a line of its own."""

    def __init__(self, *, frames: bool = False, key: bytes | None = None) -> None:
        self._frames = frames
        self._keys = [] if key is None else [key.hex()]
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="moteye-")))
            scene = folder / "scene.yaml"
            scene.write_text(SCENE, encoding="utf-8")
            self.broker = Broker(folder)
            await self.broker.start()
            stack.push_async_callback(self.broker.stop)
            self.line = await stack.enter_async_context(Line(self.broker.port))
            self.device = await stack.enter_async_context(
                SimulatedDevice(
                    device_id=DEVICE,
                    broker_host="127.0.0.1",
                    broker_port=self.line.port,
                    camera_spec=f"scene:{scene}",
                    data_dir=folder / "flash",
                    frames=self._frames,
                    interval_ms=INTERVAL_MS,
                    settings=SETTINGS | {"keys": self._keys},
                )
            )
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @property
    def url(self) -> BrokerUrl:
        """Where the kit connects: not over the device's line."""
        return BrokerUrl("127.0.0.1", self.broker.port, tls=False)

    async def kill(self) -> None:
        """End the device at once."""
        await self.device.kill()

    async def stop(self) -> None:
        """Let the device say goodbye."""
        await self.device.stop()

    async def restart(self) -> None:
        """Start the device again."""
        await self.device.restart()

    async def restart_broker(self) -> None:
        """End the broker and start it empty."""
        await self.broker.stop()
        await self.broker.start()


async def run_simulated(
    only: frozenset[str] = frozenset(), on_result: Callable[[Result], None] | None = None
) -> list[Result]:
    """Try our own device; then one that lets pictures leave and has a key, with what is left."""
    results: dict[str, Result] = {}
    for open_and_keyed in (False, True):
        left = frozenset(each.id for each in results.values() if each.outcome == "not tried")
        if open_and_keyed and not left:
            break
        found = await _run_once(left or only, open_and_keyed=open_and_keyed)
        for result in found:
            results[result.id] = result
            if on_result is not None and result.outcome != "not tried":
                on_result(result)
    for result in results.values():
        if on_result is not None and result.outcome == "not tried":
            on_result(result)
    return list(results.values())


async def _run_once(only: frozenset[str], *, open_and_keyed: bool) -> list[Result]:
    key = secrets.token_bytes(KEY_BYTES) if open_and_keyed else None
    async with (
        SimulatedRig(frames=open_and_keyed, key=key) as rig,
        Bench(rig.url, DEVICE, key=key) as bench,
    ):
        bench.patience_s, bench.watch_s = PATIENCE_S, WATCH_S
        return await run_kit(bench, rig, swap=True, only=only)

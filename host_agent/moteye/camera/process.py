"""A device made of a process, and its camera; what simulated and emulated devices share."""

import asyncio
import contextlib
import json
import tempfile
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Required, Self, TypedDict

import structlog

from moteye.camera.server import CameraServer
from moteye.camera.sources import FrameSource, Size
from moteye.camera.spec import parse_camera_spec
from moteye.errors import MoteyeError
from moteye.resources import checkout

log = structlog.get_logger("moteye.simulated")
STOP_TIMEOUT_S = 10.0
KEPT_LINES = 2000


class SimulationError(MoteyeError):
    """The device's process could not start, or ended by itself; the text has its last lines."""


def open_camera(camera: str | FrameSource, size: Size) -> FrameSource:
    """Return the source that a spec names, or the caller's own. Raises CameraError."""
    return parse_camera_spec(camera, size=size) if isinstance(camera, str) else camera


class DeviceOptions(TypedDict, total=False):
    """What any device is told.

    `camera_spec` is a spec or a source of the caller's own. `data_dir` is its flash: prototype set
    and session counter stay there between starts. `settings` are further keys of its configuration
    (`device/firmware/README.md`), as {"heartbeat_ms": 1000}. `on_line` gets each line of its log.
    """

    device_id: Required[str]
    broker_host: Required[str]
    broker_port: Required[int]
    camera_spec: Required[str | FrameSource]
    data_dir: Required[Path]
    frames: bool  # false unless said
    interval_ms: int  # 500
    dim: int  # 64
    settings: Mapping[str, object] | None
    on_line: Callable[[str], None] | None


class DeviceProcess(ABC):
    """One device and its camera, from `async with` on until the end of the block.

    `settings` are what this kind of device needs; those among the options count more.
    """

    def __init__(
        self, options: DeviceOptions, *, camera: FrameSource, settings: Mapping[str, object]
    ) -> None:
        self._root = checkout()
        self._camera = CameraServer(camera)
        self._data_dir = options["data_dir"].resolve()
        self._config: dict[str, object] = {
            "data_dir": str(self._data_dir),
            "id": options["device_id"],
            "frames": options.get("frames", False),
            "interval_ms": options.get("interval_ms", 500),
            "dim": options.get("dim", 64),
            **settings,
            **(options.get("settings") or {}),
        }
        self.id = options["device_id"]
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._on_line = options.get("on_line")
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._spoke = asyncio.Event()
        self._ending = False
        self._resources = contextlib.AsyncExitStack()

    @abstractmethod
    def _check(self) -> None:
        """Raise SimulationError when something that _command() names is not built or installed."""

    @abstractmethod
    def _camera_settings(self, port: int) -> dict[str, object]:
        """Return the configuration of its camera, which listens on `port` of this machine."""

    @abstractmethod
    def _command(self, config: Path) -> list[str]:
        """Return the process to start, for a configuration file."""

    def _environment(self) -> dict[str, str] | None:
        """Return the environment of the process; None: this process's own."""
        return None

    async def __aenter__(self) -> Self:
        self._check()
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._camera)
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="moteye-device-"))
            self._config["camera"] = self._camera_settings(self._camera.port)
            self._config_path = Path(folder) / "config.json"
            self._config_path.touch(mode=0o600)  # it may hold a key or a password
            self._config_path.write_text(json.dumps(self._config), encoding="utf-8")
            await self._start()
            self._resources = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self.stop()
        finally:
            await self._resources.aclose()

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.returncode is None

    async def stop(self) -> None:
        """Let it say goodbye (`stopped`) and end; by force after STOP_TIMEOUT_S."""
        process = self._process
        if process is None:
            return
        self._ending = True
        if process.returncode is None and process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.write(b"stop\n")
                await process.stdin.drain()
            process.stdin.close()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            log.warning("device does not stop, killed", device=self.id)
            process.kill()
            await process.wait()
        await self._ended()

    async def kill(self) -> None:
        """End it at once (SIGKILL), as a power cut does. Its data_dir stays."""
        process = self._process
        if process is None:
            return
        self._ending = True
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await self._ended()

    async def restart(self) -> None:
        """Start it again; stops it before if it runs. The camera and data_dir are the same."""
        await self.stop()
        await self._start()

    async def wait(self) -> None:
        """Return when it was stopped. Raises SimulationError when it ended by itself."""
        process = self._process
        if process is None:
            return
        code = await process.wait()
        if not self._ending:
            await self._ended()
            raise SimulationError(f"{self.id} ended with code {code}:\n{self._last_lines()}")

    async def wait_for_line(self, text: str, timeout_s: float = 20.0, *, after: int = 0) -> str:
        """Return the first line of its log, from number `after` on, that contains `text`.

        Raises SimulationError with the last lines when none comes in time or the process ended.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            for line in list(self.lines)[after:]:
                if text in line:
                    return line
            self._spoke.clear()
            if not self.running and (self._reader is None or self._reader.done()):
                raise SimulationError(f"{self.id} ended without {text!r}:\n{self._last_lines()}")
            try:
                async with asyncio.timeout_at(deadline):
                    await self._spoke.wait()
            except TimeoutError:
                raise SimulationError(
                    f"{self.id} did not say {text!r} within {timeout_s:g} s:\n{self._last_lines()}"
                ) from None

    def _last_lines(self) -> str:
        return "\n".join(list(self.lines)[-20:])

    async def _start(self) -> None:
        self._ending = False
        self._process = await asyncio.create_subprocess_exec(
            *self._command(self._config_path),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment(),
            start_new_session=True,
        )
        self._reader = asyncio.create_task(self._read(self._process))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            async for raw in process.stdout:
                line = raw.decode(errors="replace").rstrip()
                self.lines.append(line)
                log.debug(line, device=self.id)
                if self._on_line is not None:
                    self._on_line(line)
                self._spoke.set()
        finally:
            self._spoke.set()

    async def _ended(self) -> None:
        if self._reader is not None:
            await self._reader
        self._process = None

"""A simulated device: the real firmware in MicroPython's unix port, with a frame source."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from moteye.camera.process import DeviceProcess, SimulationError, open_camera
from moteye.camera.sources import DEFAULT_SIZE, FrameSource, Size
from moteye.resources import model_dir

HEAP = "8m"

__all__ = ["SimulatedDevice", "SimulationError"]


class SimulatedDevice(DeviceProcess):
    """One device in MicroPython's unix port, and its camera (see DeviceProcess).

    `heap` caps its memory, as MicroPython's `-X heapsize=` has it. `settings` are further
    keys of its configuration (`device/firmware/README.md`), as
    {"heartbeat_ms": 1000}. `micropython`, `firmware` and `encoder` default to what `make setup`
    built and shipped.
    """

    def __init__(
        self,
        *,
        device_id: str,
        broker_host: str,
        broker_port: int,
        camera_spec: str | FrameSource,
        data_dir: Path,
        frames: bool = False,
        interval_ms: int = 500,
        dim: int = 64,
        camera_size: Size = DEFAULT_SIZE,
        broker: Mapping[str, object] | None = None,
        settings: Mapping[str, object] | None = None,
        micropython: Path | None = None,
        firmware: Path | None = None,
        encoder: Path | None = None,
        heap: str = HEAP,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(
            camera=open_camera(camera_spec, camera_size),
            data_dir=data_dir,
            on_line=on_line,
            settings={
                "id": device_id,
                "broker": {"host": broker_host, "port": broker_port, **(broker or {})},
                "encoder": str((encoder or model_dir("fast") / "encoder.mpk").resolve()),
                "frames": frames,
                "interval_ms": interval_ms,
                "dim": dim,
                **(settings or {}),
            },
        )
        self._heap = heap
        self._micropython = micropython or self._root / "build/firmware/unix/micropython"
        self._firmware = firmware or self._root / "device/firmware"

    @property
    def micropypath(self) -> str:
        """Where its MicroPython finds the firmware and the codec."""
        return f"{self._firmware}:{self._root / 'protocol'}:.frozen"

    def _check(self) -> None:
        if not self._micropython.is_file():
            raise SimulationError(f"{self._micropython} is not built: run `make setup`")

    def _camera_settings(self, port: int) -> dict[str, object]:
        return {"port": port}

    def _command(self, config: Path) -> list[str]:
        return [
            str(self._micropython),
            "-X",
            f"heapsize={self._heap}",
            str(self._firmware / "main.py"),
            str(config),
        ]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "MICROPYPATH": self.micropypath}

"""A simulated device: the real firmware in MicroPython's unix port, with a frame source."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Unpack

from moteye.camera.process import DeviceOptions, DeviceProcess, SimulationError, open_camera
from moteye.camera.sources import DEFAULT_SIZE, Size
from moteye.resources import model_dir

HEAP = "8m"

__all__ = ["SimulatedDevice", "SimulationError"]


def _with_caption_pack(settings: Mapping[str, object]) -> dict[str, object]:
    """The settings, captions made by the shipped pack where they name no other."""
    captions = settings.get("captions")
    if not isinstance(captions, Mapping):
        return dict(settings)
    pack = str((model_dir() / "captions.cpk").resolve())
    return {**settings, "captions": {"pack": pack, **captions}}


class SimulatedDevice(DeviceProcess):
    """One device in MicroPython's unix port, and its camera (see DeviceProcess).

    `heap` caps its memory, as MicroPython's `-X heapsize=` has it; `broker` are more keys of its
    `broker`. `micropython`, `firmware` and `encoder` default to what is built and shipped.
    """

    def __init__(
        self,
        *,
        camera_size: Size = DEFAULT_SIZE,
        broker: Mapping[str, object] | None = None,
        micropython: Path | None = None,
        firmware: Path | None = None,
        encoder: Path | None = None,
        heap: str = HEAP,
        **options: Unpack[DeviceOptions],
    ) -> None:
        options["settings"] = _with_caption_pack(options.get("settings") or {})
        address = {"host": options["broker_host"], "port": options["broker_port"]}
        super().__init__(
            options,
            camera=open_camera(options["camera_spec"], camera_size),
            settings={
                "broker": {**address, **(broker or {})},
                "encoder": str((encoder or model_dir() / "encoder.mpk").resolve()),
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

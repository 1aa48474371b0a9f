"""An emulated device: the real firmware on an Arm Cortex-M in QEMU, with a frame source.

Its UART 1 is the broker's TCP port, its UART 2 the camera's; the console is the process's standard
input and output, and its flash a folder of this machine, by semihosting (`device/ports/qemu`).
"""

import shutil
from pathlib import Path
from typing import Unpack

from moteye.camera.process import DeviceOptions, DeviceProcess, SimulationError, open_camera
from moteye.camera.sources import Resized, Size

QEMU = "qemu-system-arm"
MACHINES = {"qemu-m7": "mps2-an500", "qemu-m55": "mps3-an547"}
SMALL_SIZE: Size = (128, 96)  # an emulated UART carries some 50 KB a second
MAX_SET_BYTES = 16384  # two slots of it are in RAM
RECONNECT_S = 1
# The emulator does not end with its standard input; without this it outlives a host that is killed.
LEASH = ("setpriv", "--pdeathsig", "TERM") if shutil.which("setpriv") else ()


class EmulatedDevice(DeviceProcess):
    """One device on the emulated board `port`, and its camera (see DeviceProcess).

    `firmware` is the image; it defaults to what `make firmware PORT=…` built. The encoder is in it.
    """

    def __init__(
        self,
        port: str,
        *,
        camera_size: Size = SMALL_SIZE,
        firmware: Path | None = None,
        **options: Unpack[DeviceOptions],
    ) -> None:
        super().__init__(
            options,
            camera=Resized(open_camera(options["camera_spec"], camera_size), camera_size),
            settings={
                "broker": {"uart": 1},
                "encoder": None,
                "max_set_bytes": MAX_SET_BYTES,
            },
        )
        self._port = port
        self._broker = options["broker_host"], options["broker_port"]
        self._firmware = firmware or self._root / "build/firmware" / port / "firmware.elf"

    def _check(self) -> None:
        if self._port not in MACHINES:
            raise SimulationError(f"no port {self._port!r}; there are {', '.join(MACHINES)}")
        if not self._firmware.is_file():
            raise SimulationError(
                f"{self._firmware} is not built: run `make firmware PORT={self._port}`"
            )
        if shutil.which(QEMU) is None:
            raise SimulationError(f"{QEMU} is not installed (Debian: {QEMU})")
        self._data_dir.mkdir(parents=True, exist_ok=True)  # semihosting makes no folders

    def _camera_settings(self, port: int) -> dict[str, object]:
        self._camera_address = "127.0.0.1", port
        return {"uart": 2}

    def _command(self, config: Path) -> list[str]:
        argument = str(config).replace(",", ",,")
        words = [*LEASH, QEMU, "-machine", MACHINES[self._port], "-display", "none"]
        words += ["-monitor", "none", "-kernel", str(self._firmware)]
        words += ["-semihosting-config", f"enable=on,target=native,arg=moteye,arg={argument}"]
        words += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
        for name, (host, port) in (("broker", self._broker), ("camera", self._camera_address)):
            line = f"socket,id={name},host={host},port={port},server=off,nodelay=on"
            words += ["-chardev", f"{line},reconnect={RECONNECT_S}", "-serial", f"chardev:{name}"]
        return words

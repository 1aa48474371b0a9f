"""Our emulated boards: their image built, a script run on one."""

import subprocess
import tempfile
from pathlib import Path

from moteye.camera.emulate import MACHINES, QEMU
from moteye.resources import checkout

BUILD_S = 400


def build(port: str) -> Path:
    """The image of `qemu-m7` or `qemu-m55`, made where it is not up to date."""
    folder = checkout() / "device" / "ports" / port
    subprocess.run(["make", "-s", "-C", str(folder)], check=True, timeout=BUILD_S)
    return checkout() / "build" / "firmware" / port / "firmware.elf"


def run_script(port: str, text: str, *, icount: bool = False, timeout_s: float = 150) -> list[str]:
    """The console's lines of a script that runs on the board; it must end well.

    With `icount` the board's clock counts instructions, 1,000 a microsecond.
    """
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.py"
        script.write_text(text)
        words = [QEMU, "-machine", MACHINES[port], "-display", "none", "-monitor", "none"]
        words += ["-semihosting-config", f"enable=on,target=native,arg=moteye,arg={script}"]
        words += ["-icount", "shift=0"] if icount else []
        words += ["-serial", "stdio"]
        words += ["-kernel", str(checkout() / "build" / "firmware" / port / "firmware.elf")]
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip().splitlines()

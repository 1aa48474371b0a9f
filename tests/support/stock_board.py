"""MicroPython's own port `qemu` on an emulated Cortex-M7, without anything of ours built in.

Files come to it as a ROMFS at an address of its memory, as a board's flash would hold them; a
script goes in by the console.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PORT = ROOT / "device" / "ports" / "stock-m7"
BUILT = ROOT / "build" / "firmware" / "stock-m7"
ROM = 0x20000000  # memory that this firmware does not use
BUILD_S = 400
TICK = 40  # instructions a SysTick tick, under -icount shift=0

sys.path.insert(0, str(ROOT / "device" / "ports"))

from romfs import make_romfs  # noqa: E402

_PROLOGUE = """
import gc, machine, sys, uctypes, vfs
vfs.mount(vfs.VfsRom(uctypes.bytearray_at({rom}, {size})), "/rom")
sys.path.append("/rom")
machine.mem32[0xE000E014] = 0xFFFFFF
machine.mem32[0xE000E010] = 5
def ticks():
    return 0xFFFFFF - machine.mem32[0xE000E018]
def in_place(name):
    return memoryview(open("/rom/" + name, "rb"))
"""


class StockBoardError(Exception):
    """The script failed there, or did not come to its end."""


def build() -> Path:
    """The folder of firmware.elf and vision.mpy, built if they are not."""
    command = ["make", "-s", "-C", str(PORT)]
    subprocess.run(command, check=True, timeout=BUILD_S)
    return BUILT


def run_on_stock_board(script: str, files: dict[str, bytes], timeout_s: float = 100) -> list[str]:
    """What a script prints, line by line; `files` are in /rom.

    It finds `ticks()` of TICK instructions each and `in_place(name)`, a file where it lies.
    """
    rom = make_romfs(files)
    text = _PROLOGUE.format(rom=ROM, size=len(rom)) + script + "\nprint('end')\n"
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "rom"
        image.write_bytes(rom)
        words = ["qemu-system-arm", "-M", "mps2-an500", "-nographic", "-monitor", "none"]
        words += ["-icount", "shift=0", "-semihosting-config", "enable=on,target=native"]
        words += ["-serial", "stdio", "-kernel", str(BUILT / "firmware.elf")]
        words += ["-device", f"loader,file={image},addr={ROM:#x},force-raw=on"]
        # Raw REPL: the script, and then the end, which comes after an exception, too.
        typed = b"\x01" + text.encode() + b"\x04import machine\nmachine.reset()\n\x04"
        done = subprocess.run(words, input=typed, capture_output=True, timeout=timeout_s)
    lines = done.stdout.decode(errors="replace").partition(">OK")[2].splitlines()
    if "end" not in lines:
        raise StockBoardError("\n".join(lines))
    return lines[: lines.index("end")]

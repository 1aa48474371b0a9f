"""The module `vision` loaded from a file beside the one built in: instructions of a frame."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests"))

from support import boards, stock_board  # noqa: E402

_FRAME = """
import binascii, vision
encoder = vision.Encoder(pack)
frame = bytes(i * 7 & 255 for i in range(128 * 96 * 3))
out = bytearray(encoder.out_bytes)
encoder.encode(frame, 128, 96, out)
start = ticks()
encoder.encode(frame, 128, 96, out)
print(ticks() - start)
print(binascii.hexlify(out).decode())
"""
# The port's own clock: a microsecond is so many instructions under -icount shift=0.
_BUILT_IN = "import board, time\nticks, pack = time.ticks_us, board.pack()\n"
_MICROSECOND = 1000


def frame_instructions(pack: bytes) -> tuple[int, int]:
    """(loaded, built in), of one frame of 128x96 through the shipped encoder.

    Raises ValueError where the two give different embeddings.
    """
    module = (stock_board.build() / "vision.mpy").read_bytes()
    files = {"vision.mpy": module, "encoder.mpk": pack}
    loaded = stock_board.run_on_stock_board("pack = in_place('encoder.mpk')\n" + _FRAME, files)
    boards.build("qemu-m7")
    built_in = boards.run_script("qemu-m7", _BUILT_IN + _FRAME, icount=True)
    if loaded[-1] != built_in[-1]:
        raise ValueError("the loaded module gives another embedding than the one built in")
    return int(loaded[-2]) * stock_board.TICK, int(built_in[-2]) * _MICROSECOND

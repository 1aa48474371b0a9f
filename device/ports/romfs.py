"""A ROMFS image whose files are aligned, so that MicroPython can use them where they lie in flash.

    python device/ports/romfs.py OUT FILE…

MicroPython's own `mpremote romfs build` aligns nothing, and a model pack is read in place only at a
multiple of 4 (`vision.Encoder(memoryview(open("/rom/encoder.mpk", "rb")))`). The format is that of
MicroPython's extmod/vfs_rom.c; the image itself has to lie at a multiple of 16.
"""

import sys
from pathlib import Path

ALIGNMENT = 16
_MAGIC = 0x14A6B1
_PADDING, _DATA, _FILE = 1, 2, 5
_HEADER_BYTES = 8  # magic (3) and a length of 5 bytes


def _number(value: int, width: int = 1) -> bytes:
    """7 bits a byte, the highest first; leading zeros up to `width` bytes."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.insert(0, 0x80 | value & 0x7F)
    return b"\x80" * (width - len(digits)) + bytes(digits)


def _record(kind: int, payload: bytes) -> bytes:
    return _number(kind) + _number(len(payload)) + payload


def make_romfs(files: dict[str, bytes]) -> bytes:
    """The image; the contents of each file begin at a multiple of ALIGNMENT."""
    body = b""
    for name, data in files.items():
        encoded = name.encode()
        head = _number(len(encoded)) + encoded + _number(_DATA) + _number(len(data))
        record = _number(_FILE) + _number(len(head) + len(data)) + head
        missing = -(_HEADER_BYTES + len(body) + len(record)) % ALIGNMENT
        if missing == 1:  # the shortest padding takes two bytes
            missing += ALIGNMENT
        padding = _record(_PADDING, bytes(missing - 2)) if missing else b""
        body += padding + record + data
    if len(body) % 2 == 1:  # of an even size as a whole: three bytes more
        body += _record(_PADDING, b"\0")
    return _number(_MAGIC) + _number(len(body), 5) + body


def main() -> int:
    """The exit status."""
    if len(sys.argv) < 3:
        print("usage: romfs.py OUT FILE…", file=sys.stderr)
        return 2
    paths = [Path(name) for name in sys.argv[2:]]
    Path(sys.argv[1]).write_bytes(make_romfs({path.name: path.read_bytes() for path in paths}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the two formats of a prototype set file share: header, names, canaries. Host only.

Layout: `protocol/SPEC.md`, "Prototype set file".
"""

import hashlib
import struct
import zlib
from dataclasses import dataclass

from moteye_protocol import wire

HEADER = struct.Struct("<4sBBBB8sIIHhIIII5sBB13x")
Canaries = tuple[tuple[int, bytes], ...]
_RESERVED_AT = 51
_BITS = {wire.SET_FORMAT: wire.SET_BITS, wire.SET_CODEBOOK_FORMAT: wire.SET_CODEBOOK_BITS}


class PrototypeSetError(ValueError):
    """A prototype set that cannot be read or written; `offset` is the byte it was noticed at."""

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(f"{reason} (byte {offset})")
        self.reason = reason
        self.offset = offset


@dataclass(frozen=True)
class Header:
    """The header's fields that are not derived from the rest of the file.

    `shift` has one entry for each of `planes`; `parts` is 0 in format 1.
    """

    format: int
    planes: int
    encoder_hash: bytes
    epoch: int
    number: int
    count: int
    report_q8: int
    shift: tuple[int, ...]
    parts: int = 0
    names_offset: int = 0
    names_bytes: int = 0
    canaries: int = 0

    @property
    def dim(self) -> int:
        """The dimension of all planes."""
        return wire.SET_DIMS[self.planes - 1]


def set_hash(data: bytes) -> bytes:
    """The 8 bytes that name a prototype set on the wire: the start of its SHA-256."""
    return hashlib.sha256(data).digest()[:8]


def header_of(data: bytes) -> tuple[bytes, int, int]:
    """Encoder hash, epoch and number of a set."""
    encoder_hash, epoch, number = HEADER.unpack_from(data)[5:8]
    return encoder_hash, epoch, number


def version(number: int, data: bytes) -> str:
    """`<number>-<hash8>`, which sorts by number and names the content."""
    return f"{number}-{hashlib.sha256(data).hexdigest()[:8]}"


def align4(offset: int) -> int:
    """The next multiple of 4."""
    return (offset + 3) & ~3


def pad4(body: bytearray) -> None:
    """Zeros to a multiple of 4."""
    body += bytes(-len(body) % 4)


def write_file(header: Header, rows: bytes, names: tuple[str, ...], canaries: Canaries) -> bytes:
    """The file: header, `rows` as the format lays them out, names, canaries."""
    body = bytearray(rows)
    for name in names:
        raw = _name_bytes(name)
        body += bytes([len(raw)]) + raw
    names_bytes = len(body) - len(rows)
    for row, embedding in canaries:
        body += struct.pack("<H", row) + embedding
    packed = HEADER.pack(
        wire.SET_MAGIC,
        header.format,
        _BITS[header.format],
        header.planes,
        wire.SET_PREPROCESSING,
        header.encoder_hash,
        header.epoch,
        header.number,
        header.count,
        header.report_q8,
        wire.SET_HEADER_BYTES + len(body),
        wire.SET_HEADER_BYTES + len(rows),
        names_bytes,
        zlib.crc32(body),
        bytes(header.shift),
        len(canaries),
        header.parts,
    )
    return packed + bytes(body)


def read_header(data: bytes, fmt: int | None = None) -> Header:
    """The header of a whole, undamaged file, of format `fmt` where it is given.

    Raises PrototypeSetError.
    """
    if len(data) < wire.SET_HEADER_BYTES:
        raise PrototypeSetError(f"{len(data)} bytes are less than a header", len(data))
    (magic, found, bits, planes, preprocessing, encoder_hash, epoch, number, count, report) = (
        HEADER.unpack_from(data)[:10]
    )
    size, names_offset, names_bytes, crc, shift, canaries, parts = HEADER.unpack_from(data)[10:]
    if (magic, preprocessing) != (wire.SET_MAGIC, wire.SET_PREPROCESSING):
        raise PrototypeSetError("not a prototype set of this preprocessing")
    if _BITS.get(found) != bits or (fmt is not None and found != fmt):
        raise PrototypeSetError(f"format {found} with {bits} bits", 4)
    if not 1 <= planes <= len(wire.SET_DIMS) or not 1 <= count <= wire.MAX_ROWS:
        raise PrototypeSetError(f"{planes} planes of {count} rows", 6)
    if size != len(data):
        raise PrototypeSetError(f"{len(data)} bytes where the header says {size}", 28)
    if zlib.crc32(data[wire.SET_HEADER_BYTES :]) != crc:
        raise PrototypeSetError("CRC-32 differs: the file is damaged", 40)
    if max(shift[:planes]) > 63:
        raise PrototypeSetError("shift out of range", 44)
    if any(data[_RESERVED_AT : wire.SET_HEADER_BYTES]):
        raise PrototypeSetError("what is zero in this format is not", _RESERVED_AT)
    if (parts > 0) != (found == wire.SET_CODEBOOK_FORMAT) or parts > wire.SET_MAX_PARTS:
        raise PrototypeSetError(f"{parts} parts in format {found}", 50)
    shifts = tuple(shift[:planes])
    sizes = (names_offset, names_bytes, canaries)
    return Header(found, planes, encoder_hash, epoch, number, count, report, shifts, parts, *sizes)


def read_names(data: bytes, header: Header) -> tuple[str, ...]:
    """The names, one a row."""
    names = []
    at = header.names_offset
    end = at + header.names_bytes
    if end > len(data):
        raise PrototypeSetError("names end after the file", 36)
    for row in range(header.count):
        if at >= end or at + 1 + data[at] > end:
            raise PrototypeSetError(f"name of row {row} is cut short", at)
        try:
            names.append(data[at + 1 : at + 1 + data[at]].decode())
        except UnicodeDecodeError:
            raise PrototypeSetError(f"name of row {row} is not UTF-8", at) from None
        at += 1 + data[at]
    if at != end:
        raise PrototypeSetError("bytes after the last name", at)
    return tuple(names)


def read_canaries(data: bytes, header: Header) -> Canaries:
    """The canaries, with which the file must end."""
    at, size = header.names_offset + header.names_bytes, 2 + header.dim
    if header.canaries > wire.MAX_CANARIES or at + header.canaries * size != len(data):
        raise PrototypeSetError("names and canaries do not end with the file", 49)
    found = []
    for start in range(at, len(data), size):
        row = int.from_bytes(data[start : start + 2], "little")
        if row >= header.count:
            raise PrototypeSetError(f"canary of row {row}, which is not there", start)
        found.append((row, data[start + 2 : start + size]))
    return tuple(found)


def check_canaries(canaries: Canaries, count: int, dim: int) -> None:
    """Raises PrototypeSetError where they do not fit a set of this size."""
    if len(canaries) > wire.MAX_CANARIES:
        raise PrototypeSetError(f"{len(canaries)} canaries; {wire.MAX_CANARIES} at most")
    if any(not 0 <= row < count or len(e) != dim for row, e in canaries):
        raise PrototypeSetError("a canary's row or length does not fit the set")


def _name_bytes(name: str) -> bytes:
    """UTF-8 of at most 255 bytes, cut at a character."""
    return name.encode()[:255].decode(errors="ignore").encode()

"""The prototype set: the file that carries the classes to a device.

Layout: `protocol/SPEC.md`, "Prototype set file, format 1". Host only (NumPy); a device reads the
same bytes in place with `device/kernels/prototype_set.c`.
"""

import hashlib
import struct
import zlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from moteye_protocol import wire

HEADER = struct.Struct("<4sBBBB8sIIHhIIII5sB14x")
Int8 = npt.NDArray[np.int8]
UInt8 = npt.NDArray[np.uint8]
UInt16 = npt.NDArray[np.uint16]
Int16 = npt.NDArray[np.int16]


class PrototypeSetError(ValueError):
    """A prototype set that cannot be read or written; `offset` is the byte it was noticed at."""

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(f"{reason} (byte {offset})")
        self.reason = reason
        self.offset = offset


@dataclass(frozen=True)
class PrototypeSet:
    """K classes as nested 4-bit rows with their calibration.

    `codes` int8[K, D] in -8..7, D one of 16, 32, 64, 128, 256; P = number of planes that D spans.
    `scale` uint8[P, K], `mult` uint16[P, K], `offset` int16[P, K], `shift` P integers 0..63.
    `canaries` (row, int8[D] as bytes): embeddings that must find this row best, at any dimension.
    """

    encoder_hash: bytes
    number: int
    names: tuple[str, ...]
    codes: Int8
    scale: UInt8
    mult: UInt16
    offset: Int16
    shift: tuple[int, ...]
    report_q8: int = 0
    epoch: int = 0
    canaries: tuple[tuple[int, bytes], ...] = ()
    planes: int = field(init=False)

    def __post_init__(self) -> None:
        count, dim = self.codes.shape
        if dim not in wire.SET_DIMS:
            raise PrototypeSetError(f"dimension {dim} is none of {wire.SET_DIMS}")
        planes = wire.SET_DIMS.index(dim) + 1
        object.__setattr__(self, "planes", planes)
        if not 1 <= count <= wire.MAX_ROWS:
            raise PrototypeSetError(f"{count} rows; a set has 1 to {wire.MAX_ROWS}")
        if len(self.names) != count or len(self.encoder_hash) != 8 or len(self.shift) != planes:
            raise PrototypeSetError("names, encoder hash or shifts do not fit the rows")
        for part in (self.scale, self.mult, self.offset):
            if part.shape != (planes, count):
                raise PrototypeSetError(f"calibration of shape {part.shape}, not {(planes, count)}")
        if int(self.codes.min()) < -8 or int(self.codes.max()) > 7:
            raise PrototypeSetError("a code does not fit 4 bits")
        if len(self.canaries) > wire.MAX_CANARIES:
            raise PrototypeSetError(f"{len(self.canaries)} canaries; {wire.MAX_CANARIES} at most")
        if any(not 0 <= row < count or len(e) != dim for row, e in self.canaries):
            raise PrototypeSetError("a canary's row or length does not fit the set")

    @property
    def dim(self) -> int:
        """The largest dimension that the set can be matched at."""
        return int(self.codes.shape[1])

    def encode(self) -> bytes:
        """The file. The same set gives the same bytes."""
        body = bytearray()
        for plane in range(self.planes):
            start, end = _span(plane)
            body += _pack_nibbles(self.codes[:, start:end]) + self.scale[plane].tobytes()
            _pad4(body)
            body += self.mult[plane].astype("<u2").tobytes()
            body += self.offset[plane].astype("<i2").tobytes()
            _pad4(body)
        names_offset = wire.SET_HEADER_BYTES + len(body)
        for name in self.names:
            raw = _name_bytes(name)
            body += bytes([len(raw)]) + raw
        names_end = wire.SET_HEADER_BYTES + len(body)
        for row, embedding in self.canaries:
            body += struct.pack("<H", row) + embedding
        size = wire.SET_HEADER_BYTES + len(body)
        header = HEADER.pack(
            wire.SET_MAGIC,
            wire.SET_FORMAT,
            wire.SET_BITS,
            self.planes,
            wire.SET_PREPROCESSING,
            self.encoder_hash,
            self.epoch,
            self.number,
            len(self.names),
            self.report_q8,
            size,
            names_offset,
            names_end - names_offset,
            zlib.crc32(body),
            bytes(self.shift),
            len(self.canaries),
        )
        return header + bytes(body)


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


def decode(data: bytes) -> PrototypeSet:
    """Read a prototype set file.

    Raises PrototypeSetError for anything but a whole, undamaged file of this format.
    """
    if len(data) < wire.SET_HEADER_BYTES:
        raise PrototypeSetError(f"{len(data)} bytes are less than a header", len(data))
    (magic, fmt, bits, planes, preprocessing, encoder_hash, epoch, number, count, report) = (
        HEADER.unpack_from(data)[:10]
    )
    size, names_offset, names_bytes, crc, shift, canaries = HEADER.unpack_from(data)[10:]
    expected = (wire.SET_MAGIC, wire.SET_FORMAT, wire.SET_BITS, wire.SET_PREPROCESSING)
    if (magic, fmt, bits, preprocessing) != expected:
        raise PrototypeSetError(f"magic, format, bits, preprocessing are not {expected}")
    if not 1 <= planes <= len(wire.SET_DIMS) or not 1 <= count <= wire.MAX_ROWS:
        raise PrototypeSetError(f"{planes} planes of {count} rows", 6)
    if size != len(data):
        raise PrototypeSetError(f"{len(data)} bytes where the header says {size}", 28)
    if zlib.crc32(data[wire.SET_HEADER_BYTES :]) != crc:
        raise PrototypeSetError("CRC-32 differs: the file is damaged", 40)
    if max(shift[:planes]) > 63 or names_offset != _names_offset(planes, count):
        raise PrototypeSetError("shift or names offset out of range", 32)
    codes, scale, mult, offset = _read_planes(data, planes, count)
    return PrototypeSet(
        encoder_hash=encoder_hash,
        number=number,
        names=_read_names(data, names_offset, names_bytes, count),
        codes=codes,
        scale=scale,
        mult=mult,
        offset=offset,
        shift=tuple(shift[:planes]),
        report_q8=report,
        epoch=epoch,
        canaries=_read_canaries(data, names_offset + names_bytes, canaries, codes.shape),
    )


def _span(plane: int) -> tuple[int, int]:
    end = wire.SET_DIMS[plane]
    return end - wire.SET_PLANE_WIDTHS[plane], end


def _align4(offset: int) -> int:
    return (offset + 3) & ~3


def _names_offset(planes: int, count: int) -> int:
    at = wire.SET_HEADER_BYTES
    for width in wire.SET_PLANE_WIDTHS[:planes]:
        at = _align4(at + count * (width // 2 + 1))
        at = _align4(at + count * 4)
    return at


def _pad4(body: bytearray) -> None:
    body += bytes(-len(body) % 4)


def _pack_nibbles(codes: Int8) -> bytes:
    low = codes[:, 0::2].astype(np.uint8) & 0x0F
    high = codes[:, 1::2].astype(np.uint8) & 0x0F
    return (low | (high << 4)).astype(np.uint8).tobytes()


def _unpack_nibbles(raw: UInt8) -> Int8:
    codes = np.empty((raw.shape[0], raw.shape[1] * 2), np.int8)
    codes[:, 0::2] = (raw & 0x0F).astype(np.int8)
    codes[:, 1::2] = (raw >> 4).astype(np.int8)
    return np.where(codes > 7, codes - 16, codes).astype(np.int8)


def _read_planes(data: bytes, planes: int, count: int) -> tuple[Int8, UInt8, UInt16, Int16]:
    at = wire.SET_HEADER_BYTES
    codes: list[Int8] = []
    scale = np.empty((planes, count), np.uint8)
    mult = np.empty((planes, count), np.uint16)
    offset = np.empty((planes, count), np.int16)
    for plane, width in enumerate(wire.SET_PLANE_WIDTHS[:planes]):
        nibbles = np.frombuffer(data, np.uint8, count * width // 2, at)
        codes.append(_unpack_nibbles(nibbles.reshape(count, width // 2)))
        at += nibbles.size
        scale[plane] = np.frombuffer(data, np.uint8, count, at)
        at = _align4(at + count)
        mult[plane] = np.frombuffer(data, "<u2", count, at)
        offset[plane] = np.frombuffer(data, "<i2", count, at + 2 * count)
        at = _align4(at + 4 * count)
    return np.hstack(codes), scale, mult, offset


def _read_names(data: bytes, at: int, size: int, count: int) -> tuple[str, ...]:
    names = []
    end = at + size
    if end > len(data):
        raise PrototypeSetError("names end after the file", 36)
    for row in range(count):
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


def _read_canaries(
    data: bytes, at: int, canaries: int, shape: tuple[int, ...]
) -> tuple[tuple[int, bytes], ...]:
    count, dim = shape
    if canaries > wire.MAX_CANARIES or at + canaries * (2 + dim) != len(data):
        raise PrototypeSetError("names and canaries do not end with the file", 49)
    found = []
    for start in range(at, len(data), 2 + dim):
        row = int.from_bytes(data[start : start + 2], "little")
        if row >= count:
            raise PrototypeSetError(f"canary of row {row}, which is not there", start)
        found.append((row, data[start + 2 : start + 2 + dim]))
    return tuple(found)


def _name_bytes(name: str) -> bytes:
    """UTF-8 of at most 255 bytes, cut at a character."""
    return name.encode()[:255].decode(errors="ignore").encode()

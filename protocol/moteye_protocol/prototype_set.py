"""The prototype set: the file that carries the classes to a device.

Layout: `protocol/SPEC.md`, "Prototype set file, format 1". Host only (NumPy); a device reads the
same bytes in place with `device/kernels/prototype_set.c`.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from moteye_protocol import wire
from moteye_protocol.set_file import (
    HEADER,
    Canaries,
    Header,
    PrototypeSetError,
    align4,
    check_canaries,
    header_of,
    pad4,
    read_canaries,
    read_header,
    read_names,
    set_hash,
    version,
    write_file,
)

__all__ = [
    "HEADER",
    "PrototypeSet",
    "PrototypeSetError",
    "decode",
    "header_of",
    "set_hash",
    "version",
]

Int8 = npt.NDArray[np.int8]
UInt8 = npt.NDArray[np.uint8]
UInt16 = npt.NDArray[np.uint16]
Int16 = npt.NDArray[np.int16]


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
    canaries: Canaries = ()
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
        check_canaries(self.canaries, count, dim)

    @property
    def dim(self) -> int:
        """The largest dimension that the set can be matched at."""
        return int(self.codes.shape[1])

    @property
    def count(self) -> int:
        """Number of classes."""
        return int(self.codes.shape[0])

    def encode(self) -> bytes:
        """The file. The same set gives the same bytes."""
        body = bytearray()
        for plane in range(self.planes):
            start, end = _span(plane)
            body += _pack_nibbles(self.codes[:, start:end]) + self.scale[plane].tobytes()
            pad4(body)
            body += self.mult[plane].astype("<u2").tobytes()
            body += self.offset[plane].astype("<i2").tobytes()
            pad4(body)
        header = Header(
            wire.SET_FORMAT,
            self.planes,
            self.encoder_hash,
            self.epoch,
            self.number,
            len(self.names),
            self.report_q8,
            self.shift,
        )
        return write_file(header, bytes(body), self.names, self.canaries)


def decode(data: bytes) -> PrototypeSet:
    """Read a prototype set file of format 1.

    Raises PrototypeSetError for anything but a whole, undamaged file of this format.
    """
    header = read_header(data, wire.SET_FORMAT)
    if header.names_offset != _names_offset(header.planes, header.count):
        raise PrototypeSetError("names offset out of range", 32)
    codes, scale, mult, offset = _read_planes(data, header.planes, header.count)
    return PrototypeSet(
        encoder_hash=header.encoder_hash,
        number=header.number,
        names=read_names(data, header),
        codes=codes,
        scale=scale,
        mult=mult,
        offset=offset,
        shift=header.shift,
        report_q8=header.report_q8,
        epoch=header.epoch,
        canaries=read_canaries(data, header),
    )


def _span(plane: int) -> tuple[int, int]:
    end = wire.SET_DIMS[plane]
    return end - wire.SET_PLANE_WIDTHS[plane], end


def _names_offset(planes: int, count: int) -> int:
    at = wire.SET_HEADER_BYTES
    for width in wire.SET_PLANE_WIDTHS[:planes]:
        at = align4(at + count * (width // 2 + 1))
        at = align4(at + count * 4)
    return at


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
        at = align4(at + count)
        mult[plane] = np.frombuffer(data, "<u2", count, at)
        offset[plane] = np.frombuffer(data, "<i2", count, at + 2 * count)
        at = align4(at + 4 * count)
    return np.hstack(codes), scale, mult, offset

"""A prototype set whose rows are codewords: 10,000 classes where 4-bit rows find no room.

Layout: `protocol/SPEC.md`, "Prototype set file, format 2". Host only (NumPy); a device reads the
same bytes in place with `device/kernels/codebook_layout.c`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from moteye_protocol import wire
from moteye_protocol.prototype_set import PrototypeSet, decode
from moteye_protocol.set_file import (
    Canaries,
    Header,
    PrototypeSetError,
    align4,
    check_canaries,
    pad4,
    read_canaries,
    read_header,
    read_names,
    write_file,
)

WORDS = 1 << wire.SET_CODEBOOK_BITS
Int8 = npt.NDArray[np.int8]
UInt8 = npt.NDArray[np.uint8]
UInt16 = npt.NDArray[np.uint16]
Int16 = npt.NDArray[np.int16]


@dataclass(frozen=True)
class CodebookSet:
    """K classes, each M codewords that stand side by side, calibrated for one dimension D.

    `widths` M integers that add up to D; `scales` uint8[M]; `words` int8[256, D], the codewords of
    part m in its columns; `codes` uint8[K, M]; `mult` uint16[K], `offset` int16[K]. `names` are K,
    or none to save room. `canaries` as in a PrototypeSet.
    """

    encoder_hash: bytes
    number: int
    names: tuple[str, ...]
    widths: tuple[int, ...]
    scales: UInt8
    words: Int8
    codes: UInt8
    mult: UInt16
    offset: Int16
    shift: int
    report_q8: int = 0
    epoch: int = 0
    canaries: Canaries = ()

    def __post_init__(self) -> None:
        count, parts = self.codes.shape
        if not 1 <= parts <= wire.SET_MAX_PARTS or min(self.widths) < 1 or max(self.widths) > 255:
            raise PrototypeSetError(f"{parts} parts of widths {self.widths}")
        if self.dim not in wire.SET_DIMS or sum(self.widths) != self.dim:
            raise PrototypeSetError(f"widths {self.widths} do not make up a dimension")
        if len(self.widths) != parts or self.scales.shape != (parts,):
            raise PrototypeSetError("widths, scales and codes are not of the same parts")
        if not 1 <= count <= wire.MAX_ROWS or len(self.names) not in (0, count):
            raise PrototypeSetError(f"{count} rows with {len(self.names)} names")
        if self.words.shape != (WORDS, self.dim) or len(self.encoder_hash) != 8:
            raise PrototypeSetError("codewords or encoder hash do not fit")
        if self.mult.shape != (count,) or self.offset.shape != (count,) or self.shift > 63:
            raise PrototypeSetError("calibration does not fit the rows")
        check_canaries(self.canaries, count, self.dim)

    @property
    def dim(self) -> int:
        """The one dimension that the set can be matched at."""
        return int(self.words.shape[1])

    @property
    def count(self) -> int:
        """Number of classes."""
        return int(self.codes.shape[0])

    def rows(self) -> npt.NDArray[np.int32]:
        """int32[K, D]: scale times codeword of every part, which a device never writes out."""
        found = np.empty((self.count, self.dim), np.int32)
        start = 0
        for part, width in enumerate(self.widths):
            words = self.words[:, start : start + width].astype(np.int32)
            found[:, start : start + width] = int(self.scales[part]) * words[self.codes[:, part]]
            start += width
        return found

    def encode(self) -> bytes:
        """The file. The same set gives the same bytes."""
        body = bytearray(bytes(self.widths) + self.scales.tobytes())
        pad4(body)
        start = 0
        for width in self.widths:
            body += np.ascontiguousarray(self.words[:, start : start + width]).tobytes()
            start += width
        body += np.ascontiguousarray(self.codes).tobytes()
        pad4(body)
        body += self.mult.astype("<u2").tobytes() + self.offset.astype("<i2").tobytes()
        pad4(body)
        planes = wire.SET_DIMS.index(self.dim) + 1
        header = Header(
            wire.SET_CODEBOOK_FORMAT,
            planes,
            self.encoder_hash,
            self.epoch,
            self.number,
            self.count,
            self.report_q8,
            (0,) * (planes - 1) + (self.shift,),
            len(self.widths),
        )
        return write_file(header, bytes(body), self.names, self.canaries)


def read_set(data: bytes) -> PrototypeSet | CodebookSet:
    """Read a prototype set file of either format.

    Raises PrototypeSetError for anything but a whole, undamaged file.
    """
    if read_header(data).format == wire.SET_FORMAT:
        return decode(data)
    return decode_codebook(data)


def decode_codebook(data: bytes) -> CodebookSet:
    """Read a file of format 2; raises PrototypeSetError as `decode` does."""
    header = read_header(data, wire.SET_CODEBOOK_FORMAT)
    parts, count = header.parts, header.count
    at = wire.SET_HEADER_BYTES
    if at + 2 * parts > len(data):
        raise PrototypeSetError("the widths end after the file", len(data))
    widths = tuple(data[at : at + parts])
    if sum(widths) != header.dim or min(widths) < 1:
        raise PrototypeSetError(f"widths {widths} do not make up {header.dim}", at)
    scales = np.frombuffer(data, np.uint8, parts, at + parts)
    at = align4(at + 2 * parts)
    codes_at = at + WORDS * header.dim
    calibration_at = align4(codes_at + count * parts)
    if header.names_offset != align4(calibration_at + 4 * count) or header.names_offset > len(data):
        raise PrototypeSetError("names offset out of range", 32)
    words = np.empty((WORDS, header.dim), np.int8)
    start = 0
    for width in widths:
        part = np.frombuffer(data, np.int8, WORDS * width, at + WORDS * start)
        words[:, start : start + width] = part.reshape(WORDS, width)
        start += width
    return CodebookSet(
        encoder_hash=header.encoder_hash,
        number=header.number,
        names=read_names(data, header) if header.names_bytes else (),
        widths=widths,
        scales=scales,
        words=words,
        codes=np.frombuffer(data, np.uint8, count * parts, codes_at).reshape(count, parts),
        mult=np.frombuffer(data, "<u2", count, calibration_at),
        offset=np.frombuffer(data, "<i2", count, calibration_at + 2 * count),
        shift=header.shift[-1],
        report_q8=header.report_q8,
        epoch=header.epoch,
        canaries=read_canaries(data, header),
    )

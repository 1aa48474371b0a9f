"""The caption pack, `.cpk`: header and arrays, read in place by device/kernels/caption_pack.h.

All little-endian. Arrays stand one behind the other in the order of `layout`, the four-byte ones
first; those of one byte begin at a multiple of 16. Real = integer / 2^bits where a name says Q10.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC, VERSION = b"MECP", 1
HEADER = struct.Struct("<4sHHIIQ8HHBBI14i")
FACTORS = ("word", "picked", "context", "scan_in", "scan_out", "out", "logit")
"""(multiplier, shift) of the header: x * multiplier / 2^(31 - shift), rounded half up."""
PRODUCTS = ("view", "spatial", "channel", "enter", "select", "leave")


class CaptionPackError(ValueError):
    """Bytes that are no caption pack; the message says what is wrong."""


@dataclass(frozen=True)
class Sizes:
    """Dimensions of a pack. `before_end`: operators of the encoder that follow the tapped one."""

    positions: int
    channels: int
    width: int
    states: int
    rank: int
    words: int
    longest: int
    before_end: int

    def product(self, name: str) -> tuple[int, int]:
        """(rows, columns) of a matrix."""
        d = self.width
        return {
            "view": (d, self.channels),
            "spatial": (d, d),
            "channel": (d, d),
            "enter": (2 * d, 2 * d),
            "select": (self.rank + 2 * self.states, d),
            "leave": (d, d),
        }[name]


def layout(s: Sizes, text_bytes: int) -> list[tuple[str, str, tuple[int, ...]]]:
    """(name, dtype, shape) of each array, in file order."""
    d, v = s.width, s.words
    rows = {name: s.product(name) for name in PRODUCTS}
    four = [
        (f"{name}.{part}", "<i4", (rows[name][0],))
        for name in PRODUCTS
        for part in ("bias", "multiplier")
    ]
    two = [
        ("places", "<i2", (s.positions, d)),  # Q10, the view's bias in it
        ("step.weight", "<i2", (d, s.rank)),  # Q12
        ("step.bias", "<i2", (d,)),  # Q10
        ("decay", "<u2", (d, s.states)),  # Q8, of the exponent to base 2
        ("skip", "<i2", (d,)),  # Q12
        ("gamma", "<i2", (d,)),  # Q12
        ("beta", "<i2", (d,)),  # Q10
        ("gain", "<u2", (v,)),  # Q15, of a word's row
        ("sigmoid", "<u2", (1024,)),  # Q15 of [-8, 8)
        ("softplus", "<u2", (1024,)),  # Q12 of [-8, 8)
        ("exp2", "<u2", (256,)),  # Q15 of 2^-[0, 1)
        ("log2", "<u2", (256,)),  # Q12 of log2 [1, 2)
        ("text_at", "<u2", (v + 1,)),
    ]
    one = [(f"{name}.shift", "i1", (rows[name][0],)) for name in PRODUCTS]
    one += [("text", "u1", (text_bytes,))]
    weights = [(f"{name}.weight", "i1", rows[name]) for name in PRODUCTS]
    return [
        *four, ("word_bias", "<i4", (v,)), *two, *one, *weights, ("words", "i1", (v, d)),
    ]  # fmt: skip


def _aligned(name: str, at: int) -> int:
    step = 16 if (name.endswith(".weight") and name != "step.weight") or name == "words" else 4
    return -(-at // step) * step


def _check_words(text_at: NDArray[Any], text: bytes) -> None:
    """Raises CaptionPackError where words do not fill the text, or one is not UTF-8."""
    at = [int(one) for one in text_at]
    if at[0] != 0 or at[-1] != len(text) or at != sorted(at):
        raise CaptionPackError(f"the words do not fill the text's {len(text)} bytes")
    for number, (first, end) in enumerate(pairwise(at)):
        try:
            text[first:end].decode()
        except UnicodeDecodeError as error:
            told = f"word {number}, {text[first:end]!r}, is not UTF-8: {error.reason}"
            raise CaptionPackError(told) from None


@dataclass(frozen=True)
class CaptionPack:
    """A pack's numbers: sizes, the state's fraction bits, factors and arrays by name."""

    sizes: Sizes
    encoder: bytes
    map_zero: int
    state_bits: int
    factors: dict[str, tuple[int, int]]
    arrays: dict[str, NDArray[Any]]

    def to_bytes(self) -> bytes:
        """The file."""
        s, arrays = self.sizes, self.arrays
        body, at = [], HEADER.size
        for name, dtype, shape in layout(s, arrays["text"].size):
            value = arrays[name]
            if value.shape != shape:
                raise CaptionPackError(f"{name} is {value.shape}; the layout wants {shape}")
            raw = np.ascontiguousarray(value.astype(dtype)).tobytes()
            if np.any(value.astype(dtype) != value):
                raise CaptionPackError(f"{name} does not fit {dtype}")
            start = _aligned(name, at)
            body += [bytes(start - at), raw]
            at = start + len(raw)
        size = -(-at // 4) * 4
        body.append(bytes(size - at))
        flat = [number for name in FACTORS for number in self.factors[name]]
        header = HEADER.pack(
            MAGIC, VERSION, HEADER.size, 0, size, int.from_bytes(self.encoder, "little"),
            s.positions, s.channels, s.width, s.states, s.rank, s.words, s.longest, s.before_end,
            arrays["text"].size, self.state_bits, self.map_zero & 0xFF, 0, *flat,
        )  # fmt: skip
        whole = bytearray(header + b"".join(body))
        whole[8:12] = zlib.crc32(bytes(whole[12:])).to_bytes(4, "little")
        return bytes(whole)

    @classmethod
    def from_bytes(cls, raw: bytes) -> CaptionPack:
        """Read a file. Raises CaptionPackError for what is none, or damaged, or not in UTF-8."""
        if len(raw) < HEADER.size or raw[:4] != MAGIC:
            raise CaptionPackError("not a caption pack")
        fields = HEADER.unpack_from(raw)
        _, version, header_bytes, crc, size, encoder = fields[:6]
        if version != VERSION or header_bytes != HEADER.size:
            raise CaptionPackError(f"version {version}; this reads {VERSION}")
        if size != len(raw) or crc != zlib.crc32(raw[12:]):
            raise CaptionPackError("cut short or damaged")
        sizes = Sizes(*fields[6:14])
        text_bytes, state_bits, zero = fields[14:17]
        arrays: dict[str, NDArray[Any]] = {}
        at = HEADER.size
        for name, dtype, shape in layout(sizes, text_bytes):
            at = _aligned(name, at)
            count = int(np.prod(shape))
            arrays[name] = np.frombuffer(raw, dtype, count, at).reshape(shape)
            at += count * np.dtype(dtype).itemsize
        _check_words(arrays["text_at"], arrays["text"].tobytes())
        flat = fields[18:]
        factors = {name: (flat[2 * i], flat[2 * i + 1]) for i, name in enumerate(FACTORS)}
        zero -= 256 if zero > 127 else 0
        return cls(sizes, encoder.to_bytes(8, "little"), zero, state_bits, factors, arrays)

    def text(self, number: int) -> str:
        """A word."""
        first, end = self.arrays["text_at"][number : number + 2]
        return bytes(self.arrays["text"][first:end]).decode()

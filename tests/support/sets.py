"""Prototype sets for tests."""

from dataclasses import replace

import numpy as np
from moteye_protocol import wire
from moteye_protocol.codebook_set import WORDS, CodebookSet
from moteye_protocol.prototype_set import PrototypeSet, decode


def random_set(count: int, dim: int, seed: int) -> PrototypeSet:
    """A set of random numbers in every field; the same seed gives the same set."""
    rng = np.random.default_rng(seed)
    planes = wire.SET_DIMS.index(dim) + 1
    return PrototypeSet(
        encoder_hash=rng.bytes(8),
        number=seed % 1000,
        names=tuple(f"class {index} é" for index in range(count)),
        codes=rng.integers(-8, 8, (count, dim)).astype(np.int8),
        scale=rng.integers(0, 256, (planes, count)).astype(np.uint8),
        mult=rng.integers(0, 65536, (planes, count)).astype(np.uint16),
        offset=rng.integers(-32768, 32768, (planes, count)).astype(np.int16),
        shift=tuple(int(x) for x in rng.integers(0, 40, planes)),
        report_q8=-5,
        epoch=4,
    )


def random_codebook(
    count: int, dim: int, seed: int, *, widths: tuple[int, ...] = (), names: bool = True
) -> CodebookSet:
    """A codebook set of random numbers in every field; the same seed gives the same set."""
    rng = np.random.default_rng(seed)
    widths = widths or (8,) * (dim // 8)
    return CodebookSet(
        encoder_hash=rng.bytes(8),
        number=seed % 1000,
        names=tuple(f"class {index} é" for index in range(count)) if names else (),
        widths=widths,
        scales=rng.integers(0, 256, len(widths)).astype(np.uint8),
        words=rng.integers(-128, 128, (WORDS, dim)).astype(np.int8),
        codes=rng.integers(0, 256, (count, len(widths))).astype(np.uint8),
        mult=rng.integers(0, 65536, count).astype(np.uint16),
        offset=rng.integers(-32768, 32768, count).astype(np.int16),
        shift=int(rng.integers(10, 40)),
        report_q8=-5,
        epoch=4,
    )


def without_row(data: bytes, row: int) -> bytes:
    """The bytes of a set without one of its rows, numbered one lower."""
    found = decode(data)
    rows = [index for index in range(len(found.names)) if index != row]
    return replace(
        found,
        number=found.number - 1,
        names=tuple(found.names[index] for index in rows),
        codes=found.codes[rows],
        scale=found.scale[:, rows],
        mult=found.mult[:, rows],
        offset=found.offset[:, rows],
    ).encode()

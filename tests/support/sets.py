"""Prototype sets for tests."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

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


def of_rows(source: PrototypeSet, rows: Sequence[int], **changes: Any) -> PrototypeSet:
    """The rows of a set of these numbers, in this order."""
    index = list(rows)
    parts = {
        "names": tuple(source.names[row] for row in index),
        "codes": source.codes[index],
        "scale": source.scale[:, index],
        "mult": source.mult[:, index],
        "offset": source.offset[:, index],
    }
    return replace(source, **(parts | changes))


def without_rows(data: bytes, *rows: int, **changes: Any) -> bytes:
    """The bytes of a set without some of its rows, numbered one lower."""
    found = decode(data)
    kept = [row for row in range(len(found.names)) if row not in rows]
    return of_rows(found, kept, **({"number": found.number - 1} | changes)).encode()


def working_set(encoder_hash: bytes, seed: int, *, epoch: int, works: bool = True) -> bytes:
    """A set of 40 rows, in three chunks; one that does not work fails its own test."""
    changes = {"report_q8": -32768, "shift": (12,) * 3, "epoch": epoch}
    if not works:
        changes |= {"report_q8": 32767, "mult": np.zeros((3, 40), np.uint16)}
    return replace(random_set(40, 64, seed), encoder_hash=encoder_hash, **changes).encode()

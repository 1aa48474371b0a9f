"""Codebook sets: C kernels against the host's integers, damaged files, the rows told."""

import ctypes
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from kernel_library import KernelError, Kernels, pointer, run_sanitized
from moteye.core.scoring import Scorer
from moteye_protocol import wire
from moteye_protocol.codebook_set import CodebookSet, read_set
from support.sets import random_codebook
from test_scoring import open_set

HASH = b"encoder!"


def by_c(kernels: Kernels, prototypes: CodebookSet, embedding: np.ndarray) -> np.ndarray:
    opened, _data = open_set(kernels, prototypes.encode(), prototypes.dim, prototypes.encoder_hash)
    kernels.c.codebook_table_bytes.restype = ctypes.c_size_t
    size = kernels.c.codebook_table_bytes(ctypes.byref(opened))
    assert size == 4 * 256 * len(prototypes.widths)
    table = np.zeros(size // 4, np.int32)
    margins = np.zeros(prototypes.count, np.int16)
    kernels.c.match_codebook(
        ctypes.byref(opened), pointer(embedding), pointer(table), pointer(margins)
    )
    return margins


@pytest.mark.parametrize("dim", wire.SET_DIMS)
@pytest.mark.parametrize("count", [1, 2, 3, 64, 301])
def test_margins_of_random_codebooks_are_equal(kernels: Kernels, dim: int, count: int) -> None:
    rng = np.random.default_rng(count + dim)
    for seed in range(4):
        widths = tuple(rng.permutation([4, 12, *[8] * (dim // 8 - 2)]).tolist())
        prototypes = random_codebook(count, dim, seed, widths=widths if dim <= 128 else ())
        for scale in (127, 9, 0):
            embedding = rng.integers(-scale - 1, scale + 1, (1, 256)).astype(np.int8)
            expected = Scorer(prototypes, dim).margins_q8(embedding)[0]
            assert np.array_equal(by_c(kernels, prototypes, embedding[0].copy()), expected)


@pytest.mark.parametrize("value", [-128, 0, 127])
@pytest.mark.parametrize("word", [-128, 127])
def test_margins_of_extreme_codebooks_are_equal(kernels: Kernels, value: int, word: int) -> None:
    prototypes = random_codebook(9, 256, 1)
    prototypes = replace(
        prototypes,
        words=np.full_like(prototypes.words, word),
        scales=np.full_like(prototypes.scales, 255),
        mult=np.full_like(prototypes.mult, 65535),
    )
    embedding = np.full((1, 256), value, np.int8)
    expected = Scorer(prototypes, 256).margins_q8(embedding)[0]
    assert np.array_equal(by_c(kernels, prototypes, embedding[0].copy()), expected)


def test_ten_thousand_rows_are_equal_and_small(kernels: Kernels) -> None:
    widths = (4,) * 4 + (8,) * 6
    prototypes = random_codebook(10_000, 64, 3, widths=widths, names=False)
    assert len(prototypes.encode()) <= 160_000
    embedding = np.random.default_rng(1).integers(-128, 128, (1, 64)).astype(np.int8)
    expected = Scorer(prototypes, 64).margins_q8(embedding)[0]
    assert np.array_equal(by_c(kernels, prototypes, embedding[0].copy()), expected)


def test_codebook_is_matched_at_its_own_dimension_only(kernels: Kernels) -> None:
    prototypes = random_codebook(5, 64, 1)
    for dim in (0, 16, 32, 128, 256):
        with pytest.raises(KernelError, match="no such dim"):
            open_set(kernels, prototypes.encode(), dim, prototypes.encoder_hash)


def _changed(file: bytes, offset: int, layout: str, value: int) -> bytes:
    packed = struct.pack(layout, value)
    file = file[:offset] + packed + file[offset + len(packed) :]
    return file[:40] + struct.pack("<I", zlib.crc32(file[64:])) + file[44:]


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [
        (4, 3, "unknown version"),
        (5, 4, "unknown version"),
        (50, 0, "bad header"),
        (50, 7, "bad header"),
        (50, 33, "bad header"),
        (64, 0, "bad header"),
        (64, 9, "bad header"),
        (6, 4, "bad header"),
    ],
)
def test_damaged_codebook_names_its_reason(
    kernels: Kernels, offset: int, value: int, reason: str
) -> None:
    prototypes = random_codebook(5, 64, 1)
    file = _changed(prototypes.encode(), offset, "<B", value)
    with pytest.raises(KernelError, match=f"^{reason}$"):
        open_set(kernels, file, 64, prototypes.encoder_hash)
    with pytest.raises(ValueError, match=r"\(byte \d+\)"):
        read_set(file)


def test_damaged_codebooks_stay_in_bounds() -> None:
    rng = np.random.default_rng(3)
    sets = [
        replace(random_codebook(count, dim, 1, names=count != 3), encoder_hash=HASH)
        for count, dim in ((1, 16), (3, 32), (10, 64))
    ]
    files = [found.encode() for found in sets]
    assert run_sanitized("set", files) == [0, 0, 0]
    cut = [file[:n] for file in files for n in [*range(140), *range(140, len(file), 97)]]
    assert all(status < 0 for status in run_sanitized("set", cut))
    shrunk = [_changed(file[:n], 28, "<I", n) for file in files for n in range(64, len(file), 61)]
    assert all(status < 0 for status in run_sanitized("set", shrunk))
    cases = []
    for i in range(300):
        damaged = files[i % 3]
        for _ in range(int(rng.integers(1, 4))):
            places = (int(rng.integers(4, 100)), int(rng.integers(4, len(damaged))))
            damaged = _changed(damaged, places[i % 2], "<B", int(rng.integers(256)))
        cases.append(damaged)
    statuses = run_sanitized("set", cases)
    assert 0 in statuses
    assert min(statuses) < 0


def test_file_is_read_as_it_was_written() -> None:
    for seed, names in ((1, True), (2, False)):
        prototypes = random_codebook(7, 128, seed, names=names)
        canaries = ((3, bytes(range(128))),)
        file = replace(prototypes, canaries=canaries).encode()
        assert read_set(file).encode() == file
        assert read_set(file).names == prototypes.names


def test_best_rows_are_the_highest_margins_in_order(kernels: Kernels) -> None:
    rng = np.random.default_rng(2)
    for count, most in ((1, 1), (5, 16), (300, 16), (300, 1)):
        margins = rng.integers(-20, 20, count).astype(np.int16)
        rows = np.zeros(most, np.uint16)
        found = kernels.c.best_rows(pointer(margins), count, -5, pointer(rows), most)
        reached = [row for row in range(count) if margins[row] >= -5]
        reached.sort(key=lambda row: (-int(margins[row]), row))
        assert rows[:found].tolist() == reached[:most]

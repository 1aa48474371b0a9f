"""Packs that are cut, flipped or malicious: refused, or run inside their bounds."""

import struct
import zlib

import numpy as np
import pytest
from kernel_library import KernelError, Kernels, run_sanitized
from moteye.compiler import compile_model
from random_nets import random_net, tiny_encoder

FLIPS = 500


def with_crc(pack: bytes) -> bytes:
    """The same pack with the checksum an attacker would write."""
    return pack[:8] + struct.pack("<I", zlib.crc32(pack[12:])) + pack[12:]


def with_word(pack: bytes, offset: int, value: int) -> bytes:
    return with_crc(pack[:offset] + struct.pack("<I", value & 0xFFFFFFFF) + pack[offset + 4 :])


@pytest.fixture(scope="module")
def pack() -> bytes:
    return compile_model(tiny_encoder(3, side=12, dim=32))


def test_truncated_pack_is_refused_at_every_length(pack: bytes) -> None:
    lengths = sorted({*range(600), *range(600, len(pack), 97), len(pack) - 1})
    cut = [pack[:n] for n in lengths]
    repaired = [with_word(pack[:n], 12, n) for n in lengths if n >= 96]
    assert all(status < 0 for status in run_sanitized("pack", cut))
    assert all(status < 0 for status in run_sanitized("pack", repaired))


def test_longer_pack_is_refused(pack: bytes) -> None:
    assert run_sanitized("pack", [pack + b"\0", pack + pack])[0] < 0


def test_flipped_byte_without_new_crc_is_refused(pack: bytes) -> None:
    rng = np.random.default_rng(0)
    cases = []
    for offset in rng.integers(0, len(pack), 200).tolist():
        damaged = bytearray(pack)
        damaged[offset] ^= int(rng.integers(1, 256))
        cases.append(bytes(damaged))
    assert all(status < 0 for status in run_sanitized("pack", cases))


def test_flipped_bytes_with_new_crc_stay_in_bounds(pack: bytes) -> None:
    rng = np.random.default_rng(1)
    packs = [pack] + [compile_model(random_net(seed)) for seed in range(12)]
    cases = []
    for i in range(FLIPS):
        source = packs[i % len(packs)]
        ops_end = struct.unpack_from("<I", source, 28)[0]
        damaged = bytearray(source)
        for _ in range(int(rng.integers(1, 4))):
            # Mostly where structure is: header and records.
            end = ops_end if rng.random() < 0.8 else len(source)
            damaged[int(rng.integers(12, end))] = int(
                rng.choice([0, 1, 127, 128, 255, int(rng.integers(256))])
            )
        cases.append(with_crc(bytes(damaged)))
    statuses = run_sanitized("pack", cases)
    assert sum(status < 0 for status in statuses) > FLIPS // 3


def test_extreme_words_in_header_and_records_stay_in_bounds(pack: bytes) -> None:
    ops_end = struct.unpack_from("<I", pack, 28)[0]
    words = [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF, 0x10000, len(pack)]
    cases = [with_word(pack, offset, word) for offset in range(12, ops_end, 4) for word in words]
    statuses = run_sanitized("pack", cases)
    assert sum(status < 0 for status in statuses) > len(cases) // 2


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [
        (0, 0x4B504D00, "bad magic"),
        (4, 0x00600001, "unknown version"),
        (12, 0, "wrong size"),
        (16, 0, "bad header"),
        (16, 1, "bad operator"),
        (20, 98, "bad header"),
        (32, 0xFFFFFFF0, "bad header"),
        (36, 16, "arena out of bounds"),
        (40, 1, "wrong count of products"),
        (48, 0, "bad shape"),
        (60, 128, "bad quantisation"),
        (84, 1, "bad header"),
        (96, 0x0048003F, "bad operator"),
        (96, 0x00480004, "bad operator"),
        (100, 0xFFFFFFF0, "arena out of bounds"),
        (96 + 16 + 40, 0, "weights out of bounds"),
        (96 + 16 + 40, 0xFFFFFFFF, "weights out of bounds"),
        (96 + 16 + 40 + 4, 2, "weights out of bounds"),
    ],
)
def test_damaged_field_names_its_reason(
    kernels: Kernels, pack: bytes, offset: int, value: int, reason: str
) -> None:
    with pytest.raises(KernelError, match=f"^{reason}$"):
        kernels.open(with_word(pack, offset, value))


def test_overlapping_tensors_are_refused(kernels: Kernels, pack: bytes) -> None:
    (input_at,) = struct.unpack_from("<I", pack, 100)
    with pytest.raises(KernelError, match="tensors overlap"):
        kernels.open(with_word(pack, 96 + 12, input_at))

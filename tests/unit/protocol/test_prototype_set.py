import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moteye_protocol import prototype_set as ps
from moteye_protocol import wire
from support.sets import random_set


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.sampled_from(wire.SET_DIMS), st.integers(0, 2**31))
def test_file_round_trip(count, dim, seed):
    original = random_set(count, dim, seed)
    data = original.encode()
    back = ps.decode(data)
    assert back.encode() == data
    assert back.names == original.names
    assert np.array_equal(back.codes, original.codes)
    assert (back.planes, back.shift, back.report_q8, back.epoch) == (
        original.planes,
        original.shift,
        -5,
        4,
    )


def test_a_thousand_classes_at_64_fit_48_kib_without_names():
    data = random_set(1000, 64, 1).encode()
    names = struct.unpack_from("<I", data, 36)[0]
    assert len(data) - names <= 48 * 1024


def test_canaries_round_trip_and_wrong_ones_are_refused():
    plain = random_set(3, 32, 7)
    with_two = replace(plain, canaries=((0, bytes(32)), (2, bytes(range(32)))))
    data = with_two.encode()
    assert len(data) == len(plain.encode()) + 2 * 34
    assert ps.decode(data).canaries == with_two.canaries
    for canaries in (((3, bytes(32)),), ((0, bytes(31)),), ((0, bytes(32)),) * 9):
        with pytest.raises(ps.PrototypeSetError):
            replace(plain, canaries=canaries)
    wrong = bytearray(data)
    struct.pack_into("<H", wrong, len(data) - 34, 3)
    struct.pack_into("<I", wrong, 40, zlib.crc32(wrong[64:]))
    with pytest.raises(ps.PrototypeSetError, match="canary of row 3"):
        ps.decode(bytes(wrong))


def test_every_truncation_and_every_flipped_byte_is_refused():
    data = random_set(3, 32, 7).encode()
    for length in range(len(data)):
        with pytest.raises(ps.PrototypeSetError):
            ps.decode(data[:length])
    for offset in (*range(8), *range(24, 26), *range(28, 44), *range(64, len(data))):
        damaged = bytearray(data)
        damaged[offset] ^= 0x55
        with pytest.raises(ps.PrototypeSetError):
            ps.decode(bytes(damaged))


def test_a_right_crc_does_not_excuse_wrong_names():
    data = bytearray(random_set(2, 16, 3).encode())
    names_at = struct.unpack_from("<I", data, 32)[0]
    data[names_at] = 255
    struct.pack_into("<I", data, 40, zlib.crc32(data[64:]))
    with pytest.raises(ps.PrototypeSetError, match="name of row 0"):
        ps.decode(bytes(data))

"""A delta applied by the device gives the bytes that the host built."""

from dataclasses import replace

import numpy as np
import pytest
from delta import DeltaError, apply
from hypothesis import given, settings
from hypothesis import strategies as st
from moteye_protocol.prototype_set import decode
from moteye_protocol.set_delta import encode_delta
from support.sets import of_rows, random_codebook, random_set

ROOM = 65536


def applied(base, delta):
    out = memoryview(bytearray(b"\xa5" * ROOM))
    size, added = apply(memoryview(base), delta, out)
    return bytes(out[:size]), added


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from([16, 64, 256]), st.integers(0, 2**31))
def test_delta_makes_the_target_of_the_base(data, dim, seed):
    pool = random_set(12, dim, seed)
    rows = st.lists(st.integers(0, 11), min_size=1, max_size=14)
    old, new = data.draw(rows), data.draw(rows)
    canaries = tuple((row % len(old), bytes([row] * dim)) for row in old[:3])
    base = of_rows(pool, old, canaries=canaries).encode()
    shift = data.draw(st.sampled_from([pool.shift, (3,) * len(pool.shift)]))
    target = of_rows(
        pool,
        new,
        number=7,
        epoch=9,
        shift=shift,
        report_q8=11,
        canaries=data.draw(st.sampled_from([(), canaries[:1] if new else ()]))
        if old[0] % len(old) < len(new)
        else (),
    ).encode()
    delta = encode_delta(base, target)
    made, added = applied(base, delta)
    assert made == target
    assert set(added) == {index for index, row in enumerate(new) if row not in old}


def test_one_class_added_to_a_hundred_is_small():
    pool = random_set(101, 256, 3)
    pool = replace(pool, names=tuple(f"a phrase of {n:04}" for n in range(101)))
    base = of_rows(pool, list(range(100)), canaries=((5, bytes(256)),)).encode()
    order = [*range(40), 100, *range(40, 100)]
    target = of_rows(pool, order, number=8, canaries=((5, bytes(256)),)).encode()
    delta = encode_delta(base, target)
    assert applied(base, delta) == (target, [40])
    assert len(delta) <= 220


def test_every_cut_and_damaged_delta_is_refused_or_gives_a_set_of_another_hash():
    pool = random_set(8, 32, 5)
    base = of_rows(pool, [0, 1, 2, 3]).encode()
    target = of_rows(pool, [0, 4, 2, 3, 5]).encode()
    delta = encode_delta(base, target)
    for length in range(len(delta)):
        with pytest.raises(DeltaError):
            applied(base, delta[:length])
    rng = np.random.default_rng(1)
    for _ in range(2000):
        damaged = bytearray(delta)
        damaged[int(rng.integers(len(delta)))] ^= int(rng.integers(1, 256))
        try:
            made, _ = applied(base, bytes(damaged))
        except DeltaError:
            continue
        assert made != target


def test_set_that_does_not_fit_is_refused():
    pool = random_set(8, 32, 5)
    base, target = of_rows(pool, [0]).encode(), pool.encode()
    delta = encode_delta(base, target)
    for room in range(0, len(target), 7):
        with pytest.raises(DeltaError, match="too large"):
            apply(memoryview(base), delta, memoryview(bytearray(room)))


def test_sets_of_another_kind_have_no_delta():
    one = random_set(3, 64, 1)
    assert encode_delta(one.encode(), random_set(3, 64, 2).encode()) is None
    shorter = replace(random_set(3, 32, 1), encoder_hash=one.encoder_hash)
    assert encode_delta(one.encode(), shorter.encode()) is None
    assert decode(one.encode()).planes == 3


def of_codes(source, rows, **changes):
    names = tuple(source.names[row] for row in rows) if source.names else ()
    parts = {"codes": source.codes[rows], "mult": source.mult[rows], "offset": source.offset[rows]}
    return replace(source, names=names, **parts, **changes)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from([16, 64, 128]), st.booleans(), st.integers(0, 2**31))
def test_delta_makes_a_codebook_of_another_with_the_same_words(data, dim, names, seed):
    pool = random_codebook(12, dim, seed, names=names)
    rows = st.lists(st.integers(0, 11), min_size=1, max_size=30)
    old, new = data.draw(rows), data.draw(rows)
    canaries = tuple((row % len(old), bytes([row] * dim)) for row in old[:3])
    base = of_codes(pool, old, canaries=canaries).encode()
    kept = tuple((0, e) for _, e in canaries[:1]) if data.draw(st.booleans()) else ()
    target = of_codes(pool, new, number=7, epoch=9, shift=5, canaries=kept).encode()
    made, added = applied(base, encode_delta(base, target))
    assert made == target
    assert set(added) == {index for index, row in enumerate(new) if row not in old}


def test_class_added_to_a_codebook_of_thousands_is_a_small_delta():
    pool = random_codebook(3001, 64, 3, names=False)
    order = [*range(700), 3000, *range(700, 3000)]
    base, target = of_codes(pool, list(range(3000))).encode(), of_codes(pool, order).encode()
    delta = encode_delta(base, target)
    assert applied(base, delta) == (target, [700])
    assert len(delta) <= 64


def test_codebooks_with_other_words_or_names_have_no_delta():
    one = random_codebook(3, 64, 1)
    other = replace(random_codebook(3, 64, 2), encoder_hash=one.encoder_hash)
    assert encode_delta(one.encode(), other.encode()) is None
    assert encode_delta(one.encode(), replace(one, names=()).encode()) is None
    plain = replace(random_set(3, 64, 1), encoder_hash=one.encoder_hash)
    assert encode_delta(one.encode(), plain.encode()) is None

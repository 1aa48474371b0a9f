"""The twin of the device's matcher, against SPEC.md written out in Python's whole numbers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moteye.core.scoring import PROBABILITY_TABLE, Scorer, prob_q8
from moteye_protocol import wire
from support.sets import random_set


def margin_by_the_book(prototypes, row: int, embedding, dim: int) -> int:
    total, start = 0, 0
    for plane in range(wire.SET_DIMS.index(dim) + 1):
        end = wire.SET_DIMS[plane]
        dot = sum(
            int(e) * int(c)
            for e, c in zip(embedding[start:end], prototypes.codes[row, start:end], strict=True)
        )
        total += int(prototypes.scale[plane, row]) * dot
        start = end
    norm = math.isqrt(sum(int(e) ** 2 for e in embedding[:dim]))
    if norm == 0:
        return -32768
    cosine = (total * ((1 << 24) // norm)) >> 12
    product = (cosine * int(prototypes.mult[plane, row])) >> prototypes.shift[plane]
    return max(-32768, min(32767, product + int(prototypes.offset[plane, row])))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(wire.SET_DIMS), st.integers(1, 9))
def test_margins_equal_the_specification(seed, dim, count):
    prototypes = random_set(count, 256, seed)
    rng = np.random.default_rng(seed)
    embeddings = rng.integers(-128, 128, (3, 256)).astype(np.int8)
    embeddings[1] //= 60
    embeddings[2, : dim // 2] = 0
    margins = Scorer(prototypes, dim).margins_q8(embeddings)
    for batch in range(3):
        for row in range(count):
            expected = margin_by_the_book(prototypes, row, embeddings[batch], dim)
            assert int(margins[batch, row]) == expected


def test_extremes_do_not_overflow():
    prototypes = random_set(2, 256, 5)
    prototypes.codes[:] = -8
    prototypes.scale[:] = 255
    for value in (-128, 127):
        embedding = np.full((1, 256), value, np.int8)
        margins = Scorer(prototypes, 256).margins_q8(embedding)
        assert int(margins[0, 0]) == margin_by_the_book(prototypes, 0, embedding[0], 256)


def test_a_blank_embedding_has_no_margin():
    margins = Scorer(random_set(3, 64, 1), 64).margins_q8(np.zeros((1, 256), np.int8))
    assert set(margins[0].tolist()) == {wire.SET_MARGIN_NONE}


def test_a_dimension_the_set_does_not_hold_is_refused():
    with pytest.raises(ValueError, match="dimension 128"):
        Scorer(random_set(3, 64, 1), 128)


def test_probability_is_monotonous_and_even_at_zero():
    margins = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
    values = prob_q8(margins)
    assert (np.diff(values.astype(int)) >= 0).all()
    assert abs(int(prob_q8(np.array([0], np.int16))[0]) - 128) <= 1
    assert len(PROBABILITY_TABLE) == 256

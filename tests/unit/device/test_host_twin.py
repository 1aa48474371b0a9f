"""Device and host compute the same integers: C kernels against the agent's NumPy."""

import ctypes

import numpy as np
import pytest
from kernel_library import Kernels, pointer
from moteye.core.prototypes import build_set
from moteye.core.scoring import Scorer, prob_q8
from moteye.imaging import box_resize
from moteye.text.space import load_space
from moteye_protocol import wire
from moteye_protocol.prototype_set import PrototypeSet
from support.sets import random_set


def margins_by_c(
    kernels: Kernels, prototypes: PrototypeSet, embedding: np.ndarray, dim: int
) -> np.ndarray:
    file = prototypes.encode()
    data = np.frombuffer(file, np.uint8).copy()
    opened = (ctypes.c_uint64 * 64)()
    kernels.check(
        kernels.c.prototype_set_open(
            pointer(data),
            ctypes.c_size_t(len(file)),
            prototypes.encoder_hash,
            dim,
            ctypes.byref(opened),
        )
    )
    margins = np.zeros(len(prototypes.names), np.int16)
    kernels.c.match_prototypes(ctypes.byref(opened), pointer(embedding), pointer(margins))
    return margins


@pytest.mark.parametrize("dim", wire.SET_DIMS)
@pytest.mark.parametrize("seed", range(8))
def test_margins_of_random_sets_are_equal(kernels: Kernels, dim: int, seed: int) -> None:
    prototypes = random_set(17, 256, seed)
    rng = np.random.default_rng(seed)
    for scale in (127, 20, 2, 0):
        embedding = rng.integers(-scale - 1, scale + 1, 256).astype(np.int8)
        ours = Scorer(prototypes, dim).margins_q8(embedding[None])[0]
        assert np.array_equal(ours, margins_by_c(kernels, prototypes, embedding, dim))


def test_margins_of_the_shipped_bank_are_equal(kernels: Kernels) -> None:
    """Real phrases, real calibration, real embeddings."""
    space = load_space()
    phrases = ["a potted plant", "a cat", "a cup of coffee", "a person"]
    built = build_set(
        phrases,
        space.phrase_vectors(phrases),
        space.background,
        space.logistic,
        encoder_hash=space.encoder_hash,
        number=1,
        dim=256,
    )
    for dim in wire.SET_DIMS:
        ours = Scorer(built.prototypes, dim).margins_q8(space.background.embeddings[:40])
        for row, embedding in zip(ours, space.background.embeddings[:40], strict=True):
            theirs = margins_by_c(kernels, built.prototypes, embedding.copy(), dim)
            assert np.array_equal(row, theirs)


def test_probabilities_are_equal(kernels: Kernels) -> None:
    margins = np.arange(-32768, 32768, 7).astype(np.int16)
    kernels.c.prob_q8.restype = ctypes.c_uint8
    theirs = [kernels.c.prob_q8(ctypes.c_int32(int(margin))) for margin in margins]
    assert prob_q8(margins).tolist() == theirs


@pytest.mark.parametrize("size", [(1, 1), (95, 97), (96, 96), (240, 320), (31, 500)])
def test_resized_pictures_are_equal(kernels: Kernels, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    picture = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    theirs = np.zeros((96, 96, 3), np.uint8)
    height, width = size
    kernels.check(kernels.c.box_resize(pointer(picture), 3, width, height, pointer(theirs), 96, 96))
    assert np.array_equal(box_resize(picture, 96, 96), theirs)

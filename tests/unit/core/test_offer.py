"""The form of a set that a device has room for."""

from dataclasses import replace

import numpy as np
import pytest
from moteye.core.codebook import compress
from moteye.core.offer import Form, Offer, first_planes
from moteye.core.prototypes import build_set
from moteye.core.scoring import Scorer
from moteye_protocol.codebook_set import CodebookSet, read_set
from moteye_protocol.set_delta import encode_delta
from support.sets import random_codebook, random_set
from support.spaces import small_space

ROWS = 700


@pytest.fixture(scope="module")
def space():
    return small_space()


def built(space, rows, number=1):
    background, logistic, vectors = space
    names = [f"class {row}" for row in rows]
    return build_set(
        names, vectors[rows], background, logistic, encoder_hash=b"encoder8", number=number, dim=64
    )


def offer_of(space, found, previous=None):
    background, logistic, _ = space
    whole = Form(found.prototypes, found.data)
    return Offer(
        whole, lambda dim, names: compress(found, background, logistic, dim=dim, previous=previous)
    )


def test_device_gets_the_first_form_that_fits(space):
    offer = offer_of(space, built(space, list(range(ROWS))))
    whole = len(offer.whole.data)
    assert offer.form(64, whole) is offer.whole
    assert offer.is_ready(64, whole)
    assert not offer.is_ready(64, whole - 1)
    planes = offer.form(64, whole - 1)
    assert planes.prototypes.dim == 64
    assert len(planes.data) < whole / 2
    codewords = offer.form(64, len(planes.data) - 1)
    assert isinstance(codewords.prototypes, CodebookSet)
    assert codewords.prototypes.names == offer.whole.prototypes.names
    nameless = offer.form(64, len(codewords.data) - 1)
    assert nameless.prototypes.names == ()
    assert offer.form(64, len(nameless.data) - 1) is None
    assert offer.named(nameless.hash) is nameless
    assert offer.named(b"8 bytes.") is None


def test_forms_of_files_are_what_fits_or_nothing():
    plain = random_set(20, 64, 1)
    offer = Offer(Form(plain, plain.encode()))
    assert offer.form(256, 1 << 20) is None
    assert offer.form(16, 1 << 20) is offer.whole
    assert offer.form(16, len(offer.whole.data) - 1).prototypes.dim == 16
    assert offer.form(16, 200) is None
    coded = random_codebook(20, 64, 1)
    offer = Offer(Form(coded, coded.encode()))
    assert offer.form(64, 1 << 20) is offer.whole
    assert offer.form(16, 1 << 20) is None


def test_first_planes_score_as_the_whole_set_does():
    whole = replace(random_set(20, 256, 1), canaries=((3, bytes(range(256))),))
    part = first_planes(whole, 64)
    embeddings = np.random.default_rng(1).integers(-128, 128, (5, 256)).astype(np.int8)
    for dim in (16, 32, 64):
        expected = Scorer(whole, dim).margins_q8(embeddings)
        assert np.array_equal(Scorer(part, dim).margins_q8(embeddings), expected)
    assert read_set(part.encode()).canaries == ((3, bytes(range(64))),)


def test_codewords_score_nearly_as_the_rows_do(space):
    found = built(space, list(range(ROWS)))
    coded = offer_of(space, found).compress(64, True)
    photos = space[0].embeddings
    plain = Scorer(found.prototypes, 64).margins_q8(photos).astype(float)
    ours = Scorer(coded, 64).margins_q8(photos).astype(float)
    assert np.corrcoef(plain.ravel(), ours.ravel())[0, 1] > 0.9
    for row, embedding in coded.canaries:
        vector = np.frombuffer(embedding, np.int8)[None]
        assert Scorer(coded, 64).margins_q8(vector)[0].argmax() == row
    assert coded.canaries


def test_the_same_classes_give_the_same_codebook(space):
    found = built(space, list(range(ROWS)))
    one, other = (offer_of(space, found).compress(64, True).encode() for _ in range(2))
    assert one == other


def test_one_class_more_keeps_the_codewords_and_travels_as_a_delta(space):
    before = offer_of(space, built(space, list(range(ROWS - 1)))).compress(64, True)
    after = offer_of(space, built(space, list(range(ROWS)), 2), before).compress(64, True)
    assert np.array_equal(before.words, after.words)
    delta = encode_delta(before.encode(), after.encode())
    assert len(delta) <= 400

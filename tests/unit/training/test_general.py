"""Flowers and plants are known from where photos come from, as far as that is sure."""

import numpy as np
from moteye_training.data import Photo
from moteye_training.general import general_names, general_presence, general_subjects
from moteye_training.truth import photo_texts


def photo(source, label="", captions=(), boxes=()):
    return Photo("k", "s", 0, 1, source, label, captions, tuple((0, 0, 9, 9, b) for b in boxes))


def test_a_species_is_a_flower_and_a_plant():
    dahlia = photo("flowers102", "pink yellow dahlia")
    assert general_names(dahlia) == ("flower", "plant")
    texts = photo_texts(dahlia)
    assert {("flower", True), ("plant", True)} <= set(texts)
    assert len(texts) == len(set(texts))


def test_leaves_are_no_flower():
    assert general_names(photo("ornamental-plants", "echeveria succulent plant")) == ("plant",)
    assert general_names(photo("houseplant-photos", "potted plant")) == ("plant",)
    assert general_names(photo("coco-val2017", boxes=("potted plant",))) == ("plant",)


def test_what_nobody_looked_for_is_not_known():
    table = general_presence([
        photo("flowers102", "rose"),
        photo("plant-shop", "zz plant"),
        photo("coco-val2017", captions=("a dog on a sofa",), boxes=("dog",)),
        photo("coco-val2017", captions=("a dog on a sofa",), boxes=("dog", "couch")),
        photo("coco-val2017", captions=("a dog in a flower bed",), boxes=("dog",)),
        photo("coco-val2017", captions=("a sofa",), boxes=("vase", "couch")),
        photo("coco-caption1", captions=("a dog on a sofa",)),
        photo("clothing", "pants"),
    ])  # fmt: skip
    wanted = [[1, 1], [-1, 1], [0, -1], [0, 0], [-1, -1], [-1, 0], [-1, -1], [0, 0]]
    np.testing.assert_array_equal(table, np.array(wanted, np.int8))


def test_subjects_are_what_photos_were_taken_of():
    found = general_subjects([
        photo("flowers102", "rose"),
        photo("plant-shop", "zz plant"),
        photo("coco-val2017", boxes=("potted plant",)),
    ])  # fmt: skip
    np.testing.assert_array_equal(found, [[True, True], [False, True], [False, False]])

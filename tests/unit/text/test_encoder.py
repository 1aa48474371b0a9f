"""The text tower: a graph for short texts, one for long ones, and files that are no tower."""

import shutil

import numpy as np
import pytest
from moteye.errors import SpaceError
from moteye.resources import model_dir, words_dir
from moteye.text import encoder as tower

WORDS = ["red", "flower", "beside", "the", "door", "of", "a", "house", "where", "nobody", "lives"]


@pytest.fixture(scope="module")
def encoder():
    return tower.TextEncoder(words_dir())


def test_a_short_text_means_the_same_in_either_graph(encoder, monkeypatch):
    texts = [" ".join(WORDS[:count]) for count in range(1, 11)]  # [CLS] and [SEP] make it 12
    short = encoder.encode(texts)
    monkeypatch.setattr(tower, "LENGTHS", tower.LENGTHS[-1:])
    np.testing.assert_allclose(short, encoder.encode(texts), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(short, axis=1), 1, atol=1e-6)


def test_texts_of_any_length_and_number(encoder):
    long = " ".join(WORDS * 4)
    cut = " ".join((WORDS * 4)[:22])
    none, one, two = encoder.encode([]), encoder.encode([""]), encoder.encode([long, cut])
    assert none.shape == (0, 384)
    assert np.isfinite(one).all()
    np.testing.assert_array_equal(two[0], two[1])


def test_a_file_that_is_no_tower_is_refused_by_name(tmp_path):
    shutil.copy(words_dir() / "tokenizer.json", tmp_path)
    shutil.copy(model_dir() / "encoder.tflite", tmp_path / "text.tflite")
    with pytest.raises(SpaceError, match=r"text\.tflite: no signature tokens_12, tokens_24"):
        tower.TextEncoder(tmp_path)
    (tmp_path / "text.tflite").unlink()
    with pytest.raises(SpaceError, match="not whole"):
        tower.TextEncoder(tmp_path)

"""Phrase vectors on disk: exact, bounded, and no harm from a damaged file."""

import numpy as np
import pytest
from moteye.text import cache
from moteye.text.cache import RECORD_BYTES, VectorCache
from moteye.text.space import load_space

TOWER = bytes(range(32))


def vector(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(256).astype(np.float32)


def test_what_was_kept_comes_back_bit_for_bit(tmp_path):
    kept = {f"a thing {n}": vector(n) for n in range(5)}
    VectorCache(tmp_path, TOWER).add(kept)
    again = VectorCache(tmp_path, TOWER)
    assert all(np.array_equal(again.get(phrase), found) for phrase, found in kept.items())
    assert again.get("another") is None
    assert len(VectorCache(tmp_path, bytes(32))) == 0, "another tower has another file"


@pytest.mark.parametrize("size", [0, 1, RECORD_BYTES - 1, RECORD_BYTES + 7])
def test_a_file_that_was_cut_short_loses_only_what_was_cut(tmp_path, size):
    first = VectorCache(tmp_path, TOWER)
    first.add({"a": vector(1), "b": vector(2)})
    first.path.write_bytes(first.path.read_bytes()[:size])
    again = VectorCache(tmp_path, TOWER)
    assert (again.get("a") is not None) == (size >= RECORD_BYTES)
    again.add({"c": vector(3)})
    third = VectorCache(tmp_path, TOWER)
    assert np.array_equal(third.get("c"), vector(3))
    assert (third.get("a") is not None) == (size >= RECORD_BYTES)


def test_a_flipped_bit_anywhere_costs_one_record(tmp_path):
    first = VectorCache(tmp_path, TOWER)
    first.add({"a": vector(1), "b": vector(2)})
    whole = first.path.read_bytes()
    for at in range(0, len(whole), 97):
        broken = bytearray(whole)
        broken[at] ^= 16
        first.path.write_bytes(broken)
        again = VectorCache(tmp_path, TOWER)
        assert len(again) == 1
        for seed, phrase in enumerate("ab", 1):
            found = again.get(phrase)
            assert found is None or np.array_equal(found, vector(seed))


def test_it_stays_bounded_and_keeps_the_newest(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "MOST_RECORDS", 10)
    filled = VectorCache(tmp_path, TOWER)
    for number in range(100):
        filled.add({f"{number}": vector(number)})
        assert filled.path.stat().st_size <= 10 * RECORD_BYTES
    assert VectorCache(tmp_path, TOWER).get("99") is not None


def test_without_a_place_to_write_it_goes_on_in_memory(tmp_path):
    (tmp_path / "file").write_text("in the way")
    kept = VectorCache(tmp_path / "file", TOWER)
    kept.add({"a": vector(1)})
    assert np.array_equal(kept.get("a"), vector(1))


def test_a_space_embeds_a_phrase_once_in_its_life(monkeypatch):
    first = load_space()
    found = first.phrase_vectors(["a cat", "a dog"])
    again = load_space()
    monkeypatch.setattr(again._text, "encode", lambda texts: pytest.fail("embedded again"))
    assert np.array_equal(again.phrase_vectors(["a dog", "a cat"]), found[::-1])

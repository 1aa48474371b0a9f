"""The background's rules and the calibration's arithmetic."""

from __future__ import annotations

import numpy as np
from moteye_training.bank import Bank, Exclusion, fit_logistic, prefix_cosine, to_int8
from moteye_training.measure import auc, average_precision, rank_of_truth
from moteye_training.space import corrected
from moteye_training.text import normalise


def test_exclusion_high_cosines_leave_the_background() -> None:
    content = np.array([0.0, 0.01, -0.01, 0.02, -0.02, 0.5], np.float32)
    assert Exclusion(0.4, 99.0).mask(content).tolist() == [True] * 5 + [False]
    assert Exclusion(9.0, 5.0).mask(content).tolist() == [True] * 5 + [False]


def test_exclusion_never_takes_more_than_most() -> None:
    content = np.linspace(0, 1, 100, dtype=np.float32)
    kept = Exclusion(-1.0, 0.0, most=0.6).mask(content)
    assert kept.sum() == 40
    assert kept[:40].all()


def test_bank_statistics_ignore_photos_that_show_the_phrase() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 256)).astype(np.float32)
    phrase = rng.normal(size=(1, 256)).astype(np.float32)
    rows[:50] += phrase
    bank = Bank(to_int8(rows), to_int8(rows))
    mean, std = bank.statistics(phrase, 64, Exclusion(0.4, 99.0))
    assert abs(mean[0]) < 0.05
    assert abs(std[0] - 1 / 8) < 0.03


def test_prefix_cosine_normalises_each_prefix() -> None:
    rows = np.random.default_rng(0).integers(-127, 128, (3, 256)).astype(np.int8)
    for dim in (16, 64, 256):
        own = prefix_cosine(rows, rows.astype(np.float32), dim)
        assert np.allclose(own.diagonal(), 1, atol=1e-5)


def test_fit_logistic_finds_the_truth_again() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(0, 2, 40_000)
    present = rng.random(len(z)) < 1 / (1 + np.exp(-(1.3 * z - 2)))
    a, b = fit_logistic(z.astype(np.float32), present, np.ones(len(z), np.float32))
    assert abs(a - 1.3) < 0.06
    assert abs(b + 2) < 0.08


def test_measures_constant_score_earns_nothing() -> None:
    present = np.array([True, False, False, True])
    assert auc(present, np.zeros(4, np.float32)) == 0.5
    assert average_precision(present, np.zeros(4, np.float32)) < 0.5
    assert rank_of_truth(np.zeros((1, 7), np.float32), np.array([3])).tolist() == [6]


def test_content_is_near_what_is_shown_and_far_from_what_is_not() -> None:
    rng = np.random.default_rng(0)
    pictures = normalise(rng.normal(size=(40, 256)).astype(np.float32))
    alike = rng.normal(size=256)  # names of things lie close together
    names = normalise((rng.normal(size=(20, 256)) + 0.6 * alike).astype(np.float32))
    known = rng.choice(np.array([1, 0, -1], np.int8), (40, 20), p=(0.1, 0.7, 0.2))
    known[0] = -1
    pictures[1:] = normalise(pictures[1:] + 0.3 * names[rng.integers(0, 20, 39)])
    found = corrected(pictures, names, known, 0.2, 0.12)
    cosines = found @ names.T
    before = pictures @ names.T
    assert cosines[known == 1].min() > 0.19
    assert cosines[known == 0].max() < 0.13
    assert before[known == 0].max() > 0.2
    assert np.abs(cosines - before)[known == -1].max() < 0.01
    np.testing.assert_allclose(found[0], pictures[0], atol=1e-6)

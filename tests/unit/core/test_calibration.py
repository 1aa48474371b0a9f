import numpy as np
import pytest
from moteye.core.calibration import (
    Background,
    Exclusion,
    Logistic,
    background_rows,
    fit_tail,
    rate_interval,
    threshold,
)
from moteye.core.prototypes import build_set, quantise_rows
from moteye.core.scoring import Scorer, scaled_rows
from moteye_protocol import wire
from moteye_protocol.prototype_set import decode


def world(seed: int = 0, photos: int = 2000):
    """A space with decaying variance, photos in it, and a phrase that 40 of them show."""
    rng = np.random.default_rng(seed)
    spread = (1 / np.sqrt(1 + np.arange(256))).astype(np.float32)
    phrases = rng.normal(size=(3, 256)).astype(np.float32) * spread
    content = rng.normal(size=(photos, 256)).astype(np.float32) * spread
    content[:40] = phrases[0] * 1.0 + 0.3 * content[:40]
    content /= np.linalg.norm(content, axis=1, keepdims=True)
    seen = content + 0.02 * rng.normal(size=content.shape).astype(np.float32)
    embeddings = np.clip(np.rint(seen * 300), -128, 127).astype(np.int8)
    return phrases, Background(embeddings, content, Exclusion(cosine=0.9, robust_z=3.0, most=0.5))


LOGISTIC = Logistic(dict.fromkeys(wire.SET_DIMS, 1.5), dict.fromkeys(wire.SET_DIMS, -4.0))


def built(phrases, background, dim=256):
    return build_set(
        ["plant", "cat", "cup"],
        phrases,
        background,
        LOGISTIC,
        encoder_hash=b"12345678",
        number=3,
        dim=dim,
    )


def test_photos_that_show_a_phrase_are_not_its_background():
    phrases, background = world()
    used = background_rows(background, phrases)
    assert not used[:40, 0].any()
    assert used[40:, 0].mean() > 0.99
    assert used[:40, 1].mean() > 0.9


def test_four_bit_rows_keep_the_direction():
    phrases, _ = world()
    codes, scale = quantise_rows(phrases)
    for dim in wire.SET_DIMS:
        rows = scaled_rows(codes, scale, dim)
        for row, exact in zip(rows, phrases[:, :dim], strict=True):
            cosine = row @ exact / (np.linalg.norm(row) * np.linalg.norm(exact))
            assert cosine > 0.99


def test_margins_are_the_log_odds_of_the_fit():
    phrases, background = world()
    result = built(phrases, background)
    margins = Scorer(result.prototypes, 256).margins_q8(background.embeddings)
    rest = result.background_q8(0, np.array([0])).astype(float) / 256
    assert abs(rest.mean() - -4.0) < 0.02
    assert abs(rest.std() - 1.5) < 0.05
    assert (margins[:40, 0] / 256).min() > rest.mean() + 3 * rest.std()


def test_the_set_survives_its_file():
    phrases, background = world()
    result = built(phrases, background, dim=64)
    again = decode(result.data)
    first = Scorer(result.prototypes, 64).margins_q8(background.embeddings[:50])
    assert np.array_equal(first, Scorer(again, 64).margins_q8(background.embeddings[:50]))


def test_promises_are_kept_on_fresh_background():
    rng = np.random.default_rng(1)
    bank = (rng.gumbel(-1000, 120, 2000)).astype(np.int16)
    fresh = rng.gumbel(-1000, 120, 400_000)
    for word, promised in (("likely", 1e-3), ("sure", 1e-4)):
        limit = threshold(bank - 0, word)
        margin = max(limit.margin_q8, 0)
        measured = float((fresh >= margin).mean())
        assert measured <= 2 * promised
        low, high = rate_interval(bank, limit.margin_q8)
        assert low <= limit.rate <= high


def test_surer_and_shared_promises_need_more():
    rng = np.random.default_rng(2)
    bank = rng.normal(200, 100, 2000).astype(np.int16)
    likely, sure = threshold(bank, "likely"), threshold(bank, "sure")
    shared = threshold(bank, "likely", shared_by=3)
    assert likely.margin_q8 < shared.margin_q8 < sure.margin_q8


@pytest.mark.parametrize(("probability", "margin"), [(0.5, 0), (0.8, 355), (0.9, 562)])
def test_a_number_is_a_probability(probability, margin):
    bank = np.arange(-1000, 0).astype(np.int16)
    assert threshold(bank, probability).margin_q8 == margin


def test_rate_of_a_low_margin_is_counted():
    bank = np.arange(-1000, 0).astype(np.int16)
    assert fit_tail(bank).rate(-500) == pytest.approx(0.5)


@pytest.mark.parametrize("kind", ["normal", "gumbel", "exponential"])
def test_the_tail_finds_rates_that_the_bank_is_too_small_to_show(kind):
    rng = np.random.default_rng(3)
    draw = getattr(rng, kind)
    many = draw(size=2_000_000) * 200
    for rate in (1e-3, 1e-4):
        truth = float(np.quantile(many, 1 - rate))
        found = [
            fit_tail((draw(size=2000) * 200).astype(np.int16)).quantile(rate) for _ in range(40)
        ]
        assert abs(np.median(found) - truth) < 0.12 * (truth - np.median(many))


def test_a_photo_that_shows_another_phrase_of_the_policy_is_no_false_alarm():
    phrases, background = world()
    result = built(phrases, background)
    alone = result.background_q8(1, np.array([1]))
    together = result.background_q8(1, np.array([0, 1]))
    assert len(alone) - len(together) >= 38


def test_canaries_are_answered_by_their_row_at_every_dimension_and_go_on():
    phrases, background = world()
    first = built(phrases, background).prototypes
    assert 1 <= len(first.canaries) <= 2
    assert len({row for row, _ in first.canaries}) == len(first.canaries)
    for row, embedding in first.canaries:
        vector = np.frombuffer(embedding, np.int8)[None]
        for dim in wire.SET_DIMS:
            assert Scorer(first, dim).margins_q8(vector)[0].argmax() == row
    fewer = Background(background.embeddings[::-1], background.content[::-1], background.exclusion)
    again = build_set(
        ["a bird", "cat", "cup", "plant"],
        np.stack([-phrases[0], phrases[1], phrases[2], phrases[0]]),
        fewer,
        LOGISTIC,
        encoder_hash=b"12345678",
        number=2,
        dim=256,
        previous=first,
    ).prototypes
    kept = {(first.names[row], e) for row, e in first.canaries}
    assert {(again.names[row], e) for row, e in again.canaries} <= kept
    assert again.canaries

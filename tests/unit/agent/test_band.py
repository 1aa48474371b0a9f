"""How near its threshold a margin says nothing: what moves it although nothing has moved.

    pytest -s tests/unit/agent/test_band.py

prints the three parts that `BAND_Q8` is made of, as standard deviations in log-odds x 256.
"""

import math

import numpy as np
import pytest
from moteye.core.calibration import background_rows, moments
from moteye.core.language import parse_policy
from moteye.core.track import BAND_Q8
from moteye.text.space import load_space

WORDS = (
    *("a cat", "a dog", "a person", "a cup of coffee", "a plant", "a flower", "a bicycle", "a car"),
    *("a bottle", "a book", "an open door", "a chair", "a laptop", "a bird", "a parcel", "a bed"),
    *("a television", "a clock", "a fire", "water on the floor", "a knife", "a teddy bear"),
)
DIM = 64
NEAR_Q8 = 256  # what is farther from even odds than that is not in doubt


def standard_cosines(vectors, embeddings):
    """Cosines float64[N, K] at DIM, in floating point all the way."""
    units = [part[:, :DIM].astype(np.float64) for part in (embeddings, vectors)]
    frames, words = (u / np.maximum(np.linalg.norm(u, axis=1, keepdims=True), 1e-9) for u in units)
    return frames @ words.T


def test_the_band_is_what_rows_embeddings_and_the_bank_move_a_margin_by():
    space = load_space()
    policies = [parse_policy(f"see: {w}\nthen: [log]\n", "p", f"p{n}") for n, w in enumerate(WORDS)]
    compiled = space.compile(policies, number=1, dim=DIM)
    names, bank = list(compiled.built.prototypes.names), space.background.embeddings
    given = compiled.scorer.margins_q8(bank).astype(np.float64)
    vectors = space.phrase_vectors(names)
    cosines = standard_cosines(vectors, bank)
    used = background_rows(space.background, vectors)
    mean, deviation = moments(cosines, used)
    slope = 256 * space.logistic.a[DIM] / deviation
    exact = slope * (cosines - mean) + 256 * space.logistic.b[DIM]
    near = np.abs(exact) < NEAR_Q8
    rows = float((given - exact)[near].std())
    rng = np.random.default_rng(0)
    rounded = standard_cosines(vectors, bank + rng.uniform(-0.5, 0.5, bank.shape))
    embeddings = float((slope * (rounded - cosines))[near].std())
    parts = []
    for column in range(len(names)):
        values = cosines[used[:, column], column]
        even = mean[column] - 256 * space.logistic.b[DIM] / slope[column]
        for _ in range(30):
            again = rng.choice(values, len(values))
            moved = 256 * space.logistic.a[DIM] / again.std() * (even - again.mean())
            parts.append(moved + 256 * space.logistic.b[DIM])
    calibration = float(np.std(parts))
    together = math.hypot(rows, embeddings, calibration)
    print(
        f"4-bit rows {rows:.0f}, rounded embeddings {embeddings:.0f}, bank {calibration:.0f}: "
        f"together {together:.0f}, BAND_Q8 {BAND_Q8}"
    )
    assert pytest.approx(together, rel=0.15) == BAND_Q8

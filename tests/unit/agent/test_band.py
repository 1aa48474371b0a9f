"""How near its threshold a margin says nothing: what moves it although nothing has moved.

    pytest -s tests/unit/agent/test_band.py

prints the three parts that `BAND_Q8` is made of, as standard deviations in log-odds x 256; and what
moves the margins of boxes and of captions, for which the same band stands.
"""

import math

import numpy as np
import pytest
from moteye.core.calibration import background_rows, moments
from moteye.core.found import BoxFinder
from moteye.core.language import parse_policy
from moteye.core.scoring import Scorer
from moteye.core.track import BAND_Q8
from moteye.imaging import ImageEncoder, load_rgb
from moteye.text.captions import caption_ground
from moteye.text.space import load_space
from moteye_protocol import wire
from support.live import skimage_photo, sklearn_photo

WORDS = (
    *("a cat", "a dog", "a person", "a cup of coffee", "a plant", "a flower", "a bicycle", "a car"),
    *("a bottle", "a book", "an open door", "a chair", "a laptop", "a bird", "a parcel", "a bed"),
    *("a television", "a clock", "a fire", "water on the floor", "a knife", "a teddy bear"),
)
DIM = 64
PHOTOS = (
    *(skimage_photo(f"{name}.png") for name in ("chelsea", "coffee", "astronaut", "camera")),
    *(
        skimage_photo("motorcycle_left.png"),
        sklearn_photo("china.jpg"),
        sklearn_photo("flower.jpg"),
    ),
)
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


def test_the_margins_of_boxes_are_moved_by_as_much():
    space = load_space()
    policies = [parse_policy(f"see: {w}\nthen: [log]\n", "p", f"p{n}") for n, w in enumerate(WORDS)]
    built = space.compile(policies, number=1, dim=DIM).built
    finder = BoxFinder(built.prototypes, DIM)
    vectors = built.vectors[:, : wire.BOX_DIM]
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    encoder = ImageEncoder(space.model / "encoder.tflite")
    moved = []
    for photo in PHOTOS:
        _, cells = encoder.look(load_rgb(photo))
        flat = cells.reshape(-1, wire.CELL_BYTES).astype(np.float64)
        exact = 16 * (flat[:, : wire.BOX_DIM] @ units.T + flat[:, wire.BOX_DIM :][:, :1])
        given = np.stack(finder.margins_q8(cells), axis=1)
        moved += (given - exact)[np.abs(exact) < 2 * NEAR_Q8].tolist()
    print(f"boxes: 4-bit rows {np.std(moved):.0f} on {len(moved)} cells, BAND_Q8 {BAND_Q8}")
    assert 0.5 * BAND_Q8 < np.std(moved) < 1.5 * BAND_Q8


def test_the_margins_of_captions_are_moved_by_less_but_for_the_bank():
    space, ground = load_space(), caption_ground()
    policies = [
        parse_policy(f"caption: {w}\nthen: [log]\n", "p", f"p{n}") for n, w in enumerate(WORDS)
    ]
    built = space.compile(policies, number=1, dim=DIM).captions.built
    vectors = ground.background.embeddings
    given = Scorer(built.prototypes, DIM).margins_q8(vectors).astype(np.float64)
    cosines = standard_cosines(built.vectors, vectors)
    mean, deviation = moments(cosines, built.absent)
    slope = 256 * ground.logistic.a[DIM] / deviation
    exact = slope * (cosines - mean) + 256 * ground.logistic.b[DIM]
    near = np.abs(exact) < 2 * NEAR_Q8
    rows = float((given - exact)[near].std())
    print(f"captions: 4-bit rows {rows:.0f} on {near.sum()} sentences, BAND_Q8 {BAND_Q8}")
    assert rows < 1.5 * BAND_Q8

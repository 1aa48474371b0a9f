"""What captions are calibrated by: the captioner on the bank's photos, written as `captions.npz`.

A sentence is a vector of the phrases' space. Over what is said of photos that do not show a phrase,
its cosine has a mean and a deviation, as an embedding's has (see `..bank`), and one logistic per
prefix, fitted to the hold-out photos, turns the standard score into a probability. No PyTorch.

    vectors int8[U, 256] of the different sentences, said uint16[N]: which one is said of a photo of
    the bank, pack uint8[8], a, b float64[5] by prefix, exclusion float64[3]
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..bank import Bank, Exclusion, choose_bank, fit_logistic, prefix_cosine, to_int8
from ..calibrate import HOME_PRIOR, pair_weights
from ..data import Photo, is_validation, training_photos
from ..space import DIMS, Space, load_space
from ..text import F32, WORDS, TextTower
from ..truth import COCO_NAMES, presence_matrix
from .evaluate import pack_captions
from .maps import MapCache
from .pack import CaptionPack

RULE = Exclusion(0.25, 99.0)
"""Which of the bank's photos show a phrase. A captioner takes for a laptop what is like one, so
photos that are merely alike stay in the background: on the hold-out photos `likely` then gives 1.16
false alarms in 1,000, with the frames' rule 1.68 (`tests/bench/caption_promises.py --choose`)."""


def say(photos: Sequence[Photo], pack: Path, encoder: Path, maps: Path) -> list[str]:
    """What the pack says of each photo; the encoder's maps are kept in `maps`."""
    found, places = MapCache(maps, encoder).fill([(p, 0) for p in photos], reference=True)
    rows = np.stack([found[places[p.key, 0]] for p in photos])
    return pack_captions(CaptionPack.from_bytes(pack.read_bytes()), rows)


def sentence_vectors(texts: Sequence[str], tower: TextTower, space: Space) -> NDArray[np.int8]:
    """int8[len(texts), 256]: texts as they stand, without prompts."""
    return to_int8(space.texts(tower.encode(texts)))


def fit(
    bank: Bank, vectors: NDArray[np.int8], known: NDArray[np.int8], phrases: F32, rule: Exclusion
) -> list[tuple[float, float]]:
    """A, b of each prefix; `vectors` int8[M, 256] of photos of which int8[M, K] is `known`."""
    weight = pair_weights(known, HOME_PRIOR)
    used = weight > 0
    found = []
    for dim in DIMS:
        mean, deviation = bank.statistics(phrases, dim, rule)
        z = (prefix_cosine(vectors, phrases, dim) - mean) / deviation
        found.append(fit_logistic(z[used], known[used] == 1, weight[used]))
    return found


def write_background(data: Path, out: Path, repo: Path) -> None:
    """Write `captions.npz` beside the bank of the encoder that the captioner reads."""
    model, folder = repo / "device/models/accurate", repo / "host_agent/moteye/space/accurate"
    pack, encoder = model / "captions.cpk", model / "encoder.tflite"
    photos = training_photos(data)
    chosen = [photos[at] for at in choose_bank(photos)]
    held = [photo for photo in photos if is_validation(photo)]
    of_bank = say(chosen, pack, encoder, out / "maps_bank")
    of_held = say(held, pack, encoder, out / "maps_held")
    tower, space = TextTower(repo / WORDS), load_space(repo / WORDS / "projection.npz")
    sentences = sorted(set(of_bank))
    place = {text: at for at, text in enumerate(sentences)}
    said = np.array([place[text] for text in of_bank], np.uint16)
    vectors = sentence_vectors(sentences, tower, space)
    with np.load(folder / "bank.npz") as stored:
        bank = Bank(vectors[said], stored["content"])
    names = space.texts(tower.phrases(COCO_NAMES))
    fits = fit(
        bank, sentence_vectors(of_held, tower, space), presence_matrix(held), names, RULE
    )  # fmt: skip
    np.savez_compressed(
        folder / "captions.npz",
        vectors=vectors,
        said=said,
        pack=np.frombuffer(hashlib.sha256(pack.read_bytes()).digest()[:8], np.uint8),
        a=[round(a, 5) for a, _ in fits],
        b=[round(b, 5) for _, b in fits],
        exclusion=[RULE.cosine, RULE.robust_z, RULE.most],
    )
    size = (folder / "captions.npz").stat().st_size
    print(f"captions.npz: {len(said)} photos, {len(sentences)} sentences, {size:,} bytes")
    for dim, (a, b) in zip(DIMS, fits, strict=True):
        print(f"  {dim:3} dimensions: a {a:.3f}, b {b:.3f}")

"""Builds `bank.npz` and `calibration.json` beside the text tower, from training photos alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .augment import box_resize
from .bank import (
    Bank,
    Exclusion,
    choose_bank,
    choose_exclusion,
    expected_calibration_error,
    fit_logistic,
    prefix_cosine,
    to_int8,
)
from .data import Photo, is_validation, open_photo
from .encoder import Encoder, split_work
from .space import DIMS, EMBEDDING, Space, corrected, raised
from .text import F32, PROMPTS, TextCache
from .truth import COCO_NAMES, presence_matrix

if TYPE_CHECKING:
    from .run import Run

SHOWN, NOT_SHOWN = 0.2, 0.12
"""Cosines to names of what is known to be on a photo and not to be: least and most."""
HOME_PRIOR = 0.05
"""Assumed share of frames that show what a phrase names, as before a home camera."""


def see_photos(photos: Sequence[Photo], encoder: Path, reference: bool = True) -> NDArray[np.int8]:
    """All that the device's encoder gives, int8[N, ...]: box average, reference kernels."""
    runner = Encoder(encoder, reference)
    return np.stack(
        [runner(box_resize(np.asarray(open_photo(photo)), runner.side)) for photo in photos]
    )


def encode_photos(
    photos: Sequence[Photo], encoder: Path, reference: bool = True
) -> NDArray[np.int8]:
    """Embeddings int8[N, 256] as the device gives."""
    return see_photos(photos, encoder, reference)[:, :EMBEDDING]


def validation_pairs(photos: Sequence[Photo], cache: TextCache) -> tuple[F32, NDArray[np.int8]]:
    """Names' MiniLM embeddings float32[K, 384] and what is known, int8[N, K], of given photos.

    COCO names where boxes are complete, and every label of the photos: its own photos show it;
    photos with another label, whose text is not close, do not.
    """
    labels = sorted({p.label_text for p in photos if p.label_text} - set(COCO_NAMES))
    names = [*COCO_NAMES, *labels]
    vectors = cache.get(names, prompted=True)
    close = vectors @ vectors.T > 0.55
    known = np.full((len(photos), len(names)), -1, np.int8)
    known[:, : len(COCO_NAMES)] = presence_matrix(photos)
    for row, photo in enumerate(photos):
        if photo.label_text in names:
            own = names.index(photo.label_text)
            unknown = known[row] < 0
            far = ~close[own]
            # A label says what is in the middle; of household things beside it, it says nothing.
            far[: len(COCO_NAMES)] = False
            known[row, unknown & far] = 0
            known[row, own] = 1
    return vectors, known


def pair_weights(known: NDArray[np.int8], prior: float) -> F32:
    """Weight float32[N, K]: unknown 0, positives together `prior`, negatives the rest.

    Household names, which a home camera is asked for, count for half of either class.
    """
    weight = np.zeros(known.shape, np.float32)
    household = np.zeros(known.shape, np.bool_)
    household[:, : len(COCO_NAMES)] = True
    for wanted, mass in ((1, prior), (0, 1 - prior)):
        for part in (household, ~household):
            some = (known == wanted) & part
            weight[some] = mass / 2 / max(1, some.sum())
    return weight


class Content(NamedTuple):
    """What photos show: the teacher's embeddings, and what boxes, detector or source tell.

    Both float32[N, 256]. By `shown` the rule of exclusion is chosen: no background shall be spoilt
    by a thing that the teacher overlooked. `known` is kept in the bank: nor shall the teacher's
    guess of a thing take a photo without it out of the background, for those are just the photos
    that give false alarms.
    """

    shown: F32
    known: F32


def known_content(run: Run) -> Content:
    """Of all photos of the run."""
    from .lessons import THINGS, known_things

    names, table = run.space.texts(run.text_cache.get(THINGS, prompted=True)), known_things(run)
    pictures = run.space.pictures(run.targets)
    return Content(
        raised(pictures, names, table == 1, SHOWN),
        corrected(pictures, names, table, SHOWN, NOT_SHOWN),
    )


def build_background(
    photos: Sequence[Photo],
    content: Content,
    encoder: Path,
    space: Space,
    cache: TextCache,
    folder: Path,
    workers: int = 2,
    reference: bool = True,
) -> dict[str, Any]:
    """Write `bank.npz` and `calibration.json`; returns the latter's content.

    The hold-out photos fit the logistic, the bank's own photos the exclusion rule.
    """
    chosen = choose_bank(photos)
    held = [i for i, photo in enumerate(photos) if is_validation(photo)]
    embeddings = split_work(
        encode_photos, [photos[i] for i in chosen + held], encoder, reference, workers=workers
    )
    bank = Bank(embeddings[: len(chosen)], to_int8(content.known[chosen]))
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "bank.npz", embeddings=bank.embeddings, content=bank.content)

    coco = space.texts(cache.get(COCO_NAMES, prompted=True))
    bank_known = presence_matrix([photos[i] for i in chosen])
    shown = Bank(bank.embeddings, to_int8(content.shown[chosen])).content_cosine(coco)
    rule, quality = choose_exclusion(shown, bank_known)
    vectors, known = validation_pairs([photos[i] for i in held], cache)
    fits = fit_dimensions(bank, embeddings[len(chosen) :], space.texts(vectors), known, rule)
    result = describe(encoder, rule, quality, fits, len(chosen), known)
    (folder / "calibration.json").write_text(json.dumps(result, indent=1) + "\n")
    return result


def fit_dimensions(
    bank: Bank, embeddings: NDArray[np.int8], phrases: F32, known: NDArray[np.int8], rule: Exclusion
) -> dict[str, dict[str, float]]:
    """The logistic and its ECE for each prefix."""
    weight = pair_weights(known, HOME_PRIOR)
    used = weight > 0
    fits = {}
    for dim in DIMS:
        mean, std = bank.statistics(phrases, dim, rule)
        z = (prefix_cosine(embeddings, phrases, dim) - mean) / std
        a, b = fit_logistic(z[used], known[used] == 1, weight[used])
        probability = 1 / (1 + np.exp(-(a * z[used] + b)))
        error = expected_calibration_error(probability, known[used] == 1, weight[used])
        fits[str(dim)] = {"a": round(a, 5), "b": round(b, 5), "ece_fit": round(error, 4)}
    return fits


def describe(
    encoder: Path, rule: Exclusion, quality: dict[str, float], fits: dict[str, Any], size: int,
    known: NDArray[np.int8],
) -> dict[str, Any]:  # fmt: skip
    """The content of `calibration.json`."""
    return {
        "version": 1,
        "encoder_tflite_sha256": hashlib.sha256(encoder.read_bytes()).hexdigest(),
        "prompts": list(PROMPTS),
        "phrase": "t = normalise(mean over prompts of normalise(text.tflite(prompt))); "
        "in the space: normalise((t - text_mean) @ rotation), each prefix by itself",
        "score": "z_d = (c_d - mean_d) / std_d; c_d = cosine of the first d values of the int8 "
        "embedding and of the phrase; mean_d, std_d over the bank photos that stay; "
        "P(present) = sigmoid(a_d z_d + b_d)",
        "prior": {
            "present": HOME_PRIOR,
            "why": "share of frames assumed to show a phrase's thing before a home camera; "
            "pairs are weighted to it",
        },
        "fit": {
            "on": "validation hold-out of the training shards (5 % of keys), never eval-*",
            "photos": int(known.shape[0]),
            "names": int(known.shape[1]),
            "positives": int((known == 1).sum()),
            "negatives": int((known == 0).sum()),
        },
        "dims": fits,
        "exclusion": {
            "cosine": rule.cosine,
            "robust_z": rule.robust_z,
            "most": rule.most,
            "rule": "x = cosine of a bank photo's content (256 values) and the phrase (256 "
            "values); the photo is left out of the phrase's background when x >= cosine or "
            "(x - median) / (1.4826 MAD) >= robust_z, median and MAD over the whole bank; if "
            "that leaves out more than `most` of the bank, only the `most` highest x are left out",
            "measured": {k: round(v, 3) for k, v in quality.items()},
            "measured_on": "bank photos with complete boxes: recall = shown things left out, "
            "wrong = photos without the thing left out, means over COCO names, before what is "
            "known not to be there counts: none of those is left out",
        },
        "bank": {"photos": size, "background_dims": list(DIMS)},
    }

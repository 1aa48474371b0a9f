"""The background bank (generic photos' embeddings) and the calibration of scores against it.

For a phrase p and a prefix of d dimensions, c = cosine of a photo's int8 embedding with p's
embedding, both cut to d. The bank gives mean and standard deviation of c over photos that do not
show what p says; z = (c - mean) / std is comparable between phrases, and one logistic per d turns
it into a probability.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .data import Photo, is_validation, key_bucket
from .text import F32, normalise

I8 = NDArray[np.int8]
Bool = NDArray[np.bool_]
BANK_SIZE = 2048
SCENE_WEIGHT = {"houses-rooms": 2.0, "doordetect": 1.3, "clothing": 0.5, "grocery": 0.7}
"""Scenes as a home camera sees them count more than catalogue pictures."""


def choose_bank(photos: Sequence[Photo], size: int = BANK_SIZE) -> list[int]:
    """Indices of `size` training photos: per source a share like the root of its count."""
    by_source: dict[str, list[int]] = defaultdict(list)
    for index, photo in enumerate(photos):
        if not is_validation(photo):
            by_source[photo.source].append(index)
    share = {
        source: len(rows) ** 0.5 * SCENE_WEIGHT.get(source, 1.0)
        for source, rows in by_source.items()
    }
    total = sum(share.values())
    chosen: list[int] = []
    rest: list[int] = []
    for source, rows in sorted(by_source.items()):
        rows = sorted(rows, key=lambda i: key_bucket("bank:" + photos[i].key, 1 << 30))
        take = min(len(rows), int(size * share[source] / total))
        chosen += rows[:take]
        rest += rows[take:]
    rest.sort(key=lambda i: key_bucket("bank:" + photos[i].key, 1 << 30))
    return sorted(chosen + rest[: size - len(chosen)])


def to_int8(rows: F32) -> I8:
    """Each row scaled so that its largest value is 127."""
    scaled = rows / np.maximum(np.abs(rows).max(1, keepdims=True), 1e-9) * 127
    return np.asarray(np.rint(scaled), np.int8)


@dataclass(frozen=True)
class Exclusion:
    """Which bank photos are no background of a phrase, because they show what it says.

    A photo is left out when its content's cosine to the phrase (256 dimensions) is at least
    `cosine`, or its robust z (x - median) / (1.4826 MAD) over the bank is at least `robust_z`;
    but never more than `most` of the bank, highest cosines first.
    """

    cosine: float
    robust_z: float
    most: float = 0.6

    def mask(self, content: F32) -> Bool:
        """Cosines float32[N] of the content -> True where the photo stays in the background."""
        middle = np.median(content)
        spread = 1.4826 * np.median(np.abs(content - middle)) + 1e-9
        out = (content >= self.cosine) | ((content - middle) / spread >= self.robust_z)
        limit = int(self.most * len(content))
        if out.sum() > limit:
            out = np.zeros_like(out)
            out[np.argsort(-content, kind="stable")[:limit]] = True
        return np.asarray(~out)


@dataclass(frozen=True)
class Bank:
    """embeddings int8[N, 256] of the shipped encoder, content int8[N, 256] of the teacher."""

    embeddings: I8
    content: I8

    def content_cosine(self, phrases: F32) -> F32:
        """float32[N, K] for phrases float32[K, 256] in the space."""
        return normalise(self.content.astype(np.float32)) @ normalise(phrases).T

    def statistics(self, phrases: F32, dim: int, rule: Exclusion) -> tuple[F32, F32]:
        """Mean and standard deviation float32[K] of the background's cosines at a prefix."""
        cosines = prefix_cosine(self.embeddings, phrases, dim)
        content = self.content_cosine(phrases)
        means, stds = [], []
        for column in range(len(phrases)):
            background = cosines[rule.mask(content[:, column]), column]
            means.append(background.mean())
            stds.append(background.std() + 1e-6)
        return np.array(means, np.float32), np.array(stds, np.float32)


def prefix_cosine(embeddings: NDArray[Any], phrases: F32, dim: int) -> F32:
    """Cosines float32[N, K] of embeddings [N, 256] and phrases [K, 256], both cut to dim."""
    cut = normalise(embeddings[:, :dim].astype(np.float32))
    return np.asarray(cut @ normalise(phrases[:, :dim]).T, np.float32)


def exclusion_quality(rule: Exclusion, content: F32, known: I8) -> dict[str, float]:
    """Recall of shown things and share of wrongly excluded photos, mean over names.

    content float32[N, K], known int8[N, K] (1 shown, 0 not, -1 not known).
    """
    recall, wrong = [], []
    for column in range(content.shape[1]):
        out = ~rule.mask(content[:, column])
        shown, absent = known[:, column] == 1, known[:, column] == 0
        if shown.sum() >= 3 and absent.sum() >= 3:
            recall.append(out[shown].mean())
            wrong.append(out[absent].mean())
    return {"recall": float(np.mean(recall)), "wrong": float(np.mean(wrong))}


def choose_exclusion(content: F32, known: I8) -> tuple[Exclusion, dict[str, float]]:
    """The rule with the best recall - 2 x wrong over a small grid, on bank photos of known truth.

    A wrongly excluded photo only thins the background, but many of them would cut its upper tail
    and promise too few false alarms: hence the factor.
    """
    best: tuple[float, Exclusion, dict[str, float]] | None = None
    for cosine in (0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5):
        for robust_z in (1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 99.0):
            rule = Exclusion(cosine, robust_z)
            quality = exclusion_quality(rule, content, known)
            score = quality["recall"] - 2 * quality["wrong"]
            if best is None or score > best[0]:
                best = (score, rule, quality)
    assert best is not None
    return best[1], best[2]


def fit_logistic(z: F32, present: Bool, weight: F32, steps: int = 60) -> tuple[float, float]:
    """a, b of sigmoid(a z + b) by weighted Newton steps, with a slight pull of a towards 1."""
    x = np.stack([z.astype(np.float64), np.ones(len(z))], 1)
    w = weight / weight.sum()
    theta = np.array([1.0, -3.0])
    pull = np.diag([1e-4, 0.0])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(x @ theta, -30, 30)))
        gradient = x.T @ (w * (p - present)) + pull @ (theta - [1.0, 0.0])
        hessian = (x * (w * p * (1 - p))[:, None]).T @ x + pull + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        theta -= np.clip(step, -1, 1)
    return float(theta[0]), float(theta[1])


BINS = 10
"""Equal bins of probability."""


@dataclass(frozen=True)
class Bin:
    """The pairs of a bin: count, mean probability said, share present, share of all weight."""

    count: int
    said: float
    present: float
    mass: float


def reliability(probability: F32, present: Bool, weight: F32) -> list[Bin | None]:
    """Each of BINS bins of probability, weighted; None where it is empty."""
    bins = np.clip((probability * BINS).astype(int), 0, BINS - 1)
    found: list[Bin | None] = []
    for number in range(BINS):
        some = bins == number
        if not some.any():
            found.append(None)
            continue
        said, shown = (
            float(np.average(x[some], weights=weight[some])) for x in (probability, present)
        )
        mass = float(weight[some].sum() / weight.sum())
        found.append(Bin(int(some.sum()), said, shown, mass))
    return found


def expected_calibration_error(probability: F32, present: Bool, weight: F32) -> float:
    """Mean distance of what is said from what is, over the bins."""
    found = reliability(probability, present, weight)
    return sum(one.mass * abs(one.said - one.present) for one in found if one is not None)

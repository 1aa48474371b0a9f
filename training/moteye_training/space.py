"""The nested space: centred teacher targets, rotated by PCA, 384 -> 256.

Pictures and texts are centred each on their own mean, which closes the gap between the two
modalities and lets no dimension be spent on a constant.
  picture: (x - image_mean) @ rotation      text: (t - text_mean) @ rotation
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .text import F32, normalise

DIMS = (16, 32, 64, 128, 256)
"""Prefixes of the embedding that are usable by themselves."""
EMBEDDING = DIMS[-1]
ROUNDS = 3
"""A change of the length moves cosines a little; by then they are right to a hundredth."""
RIDGE = 0.05
"""Against names that are nearly the same, of which one is shown and one is not."""


@dataclass(frozen=True)
class Space:
    """rotation float32[384, 256], image_mean float32[384], text_mean float32[384]."""

    rotation: F32
    image_mean: F32
    text_mean: F32

    def pictures(self, teacher: F32) -> F32:
        """Teacher embeddings float32[B, 384] -> targets float32[B, 256] of length 1."""
        return normalise(np.asarray((teacher - self.image_mean) @ self.rotation, np.float32))

    def texts(self, text: F32) -> F32:
        """Text embeddings float32[B, 384] -> float32[B, 256] of length 1."""
        return normalise(np.asarray((text - self.text_mean) @ self.rotation, np.float32))


def raised(
    pictures: F32, names: F32, shown: NDArray[np.bool_], floor: float, share: float = 1.0
) -> F32:
    """Pictures float32[N, 256] at least `floor` close to the names [K, 256] that they show.

    As far as a cosine falls short, that `share` of the name's direction is added; shown bool[N, K].
    """
    short = (floor - pictures @ names.T) * shown
    return normalise(pictures + share * short.clip(min=0) @ names)


def corrected(
    pictures: F32, names: F32, known: NDArray[np.int8], floor: float, ceiling: float
) -> F32:
    """Pictures at least `floor` close to names of what they show, `ceiling` at most to the rest.

    known int8[N, K]: 1 shown, 0 not, -1 not known. Names lie close together: the least change is
    made that leaves the cosines to all others of the K names where they are.
    """
    found = pictures @ names.T
    wanted = np.where(known == 1, np.maximum(found, floor), found)
    wanted = np.where(known == 0, np.minimum(found, ceiling), wanted)
    solve = np.linalg.inv(names @ names.T + RIDGE * np.eye(len(names), dtype=np.float32)) @ names
    for _ in range(ROUNDS):
        pictures = normalise(pictures + (wanted - pictures @ names.T) @ solve)
    return pictures


def fit_space(pictures: F32, texts: F32) -> Space:
    """PCA of the centred pictures' targets; `texts` hold each photo's mean text (for the mean)."""
    image_mean = pictures.mean(0)
    covariance = np.cov((pictures - image_mean).T.astype(np.float64))
    values, vectors = np.linalg.eigh(covariance)
    rotation = vectors[:, np.argsort(values)[::-1][:EMBEDDING]]
    # The sign of an eigenvector is free: fix it, so that equal inputs give equal files.
    rotation *= np.where(rotation[np.abs(rotation).argmax(0), np.arange(EMBEDDING)] < 0, -1, 1)
    return Space(
        rotation.astype(np.float32), image_mean.astype(np.float32), texts.mean(0).astype(np.float32)
    )


def save_space(path: Path, space: Space) -> None:
    """Write `projection.npz`; the picture's mean is kept for measuring the teacher."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path,
        rotation=space.rotation,
        text_mean=space.text_mean,
        image_mean=space.image_mean,
    )


def load_space(path: Path) -> Space:
    """Read `projection.npz`."""
    with np.load(path) as stored:
        return Space(stored["rotation"], stored["image_mean"], stored["text_mean"])

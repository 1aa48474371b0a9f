"""The composed teacher at evaluation time: towers' rows -> float32[B, 384], NumPy only."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .imagenet import class_probabilities
from .text import F32, normalise
from .towers import FEATURE


def standardise(rows: F32, mean: F32, std: F32) -> F32:
    """Pooled features of both towers, each of length 1, standardised: float32[B, 2560]."""
    pooled = np.asarray(rows[:, : 2 * FEATURE], np.float32).reshape(len(rows), 2, FEATURE)
    return (normalise(pooled).reshape(len(rows), 2 * FEATURE) - mean) / std


def gelu(x: F32) -> F32:
    """The tanh form of GELU, which the training uses too."""
    inner = np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x**3)
    return np.asarray(0.5 * x * (1 + np.tanh(inner)), np.float32)


class TeacherHead:
    """The alignment head from `alignment.npz` (float16), plus its ConSE path."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as stored:
            self._weights = {name: stored[name].astype(np.float32) for name in stored.files}

    def __call__(self, rows: F32) -> F32:
        """Rows float[B, ROW] (see `towers`) -> embeddings float32[B, 384] of length 1."""
        w = self._weights
        hidden = gelu(standardise(rows, w["mean"], w["std"]) @ w["w1"] + w["b1"])
        conse = normalise(class_probabilities(rows) @ w["names"])
        return normalise(hidden @ w["w2"] + w["b2"] + conse @ w["conse"])

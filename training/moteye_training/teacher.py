"""A teacher's alignment head at evaluation time: rows -> float32[B, 384], NumPy only."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .imagenet import class_probabilities
from .text import F32, normalise
from .towers import COMPOSED, Layout


def standardise(rows: F32, mean: F32, std: F32, layout: Layout = COMPOSED) -> F32:
    """Features of the towers, each tower's of length 1, standardised: float32[B, width]."""
    pooled = np.asarray(rows[:, : layout.width], np.float32)
    each = normalise(pooled.reshape(len(rows), layout.towers, layout.feature))
    return (each.reshape(len(rows), layout.width) - mean) / std


def gelu(x: F32) -> F32:
    """The tanh form of GELU, which the training uses too."""
    inner = np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x**3)
    return np.asarray(0.5 * x * (1 + np.tanh(inner)), np.float32)


class TeacherHead:
    """The alignment head from `alignment.npz` (float16), plus its ConSE path.

    Raises ValueError where the file is for another teacher.
    """

    def __init__(self, path: Path, layout: Layout = COMPOSED) -> None:
        self.layout = layout
        with np.load(path) as stored:
            self._weights = {name: stored[name].astype(np.float32) for name in stored.files}
        if len(self._weights["mean"]) != layout.width:
            raise ValueError(
                f"{path} is for a teacher of {len(self._weights['mean'])} features, "
                f"not of {layout.width}: delete it, so that it is made anew"
            )

    def __call__(self, rows: F32) -> F32:
        """Rows float[B, row] (see `towers.Layout`) -> embeddings float32[B, 384] of length 1."""
        w = self._weights
        hidden = gelu(standardise(rows, w["mean"], w["std"], self.layout) @ w["w1"] + w["b1"])
        conse = normalise(class_probabilities(rows, self.layout) @ w["names"])
        return normalise(hidden @ w["w2"] + w["b2"] + conse @ w["conse"])

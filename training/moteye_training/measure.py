"""Measures, with bootstrap intervals. NumPy only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .text import F32

Bool = NDArray[np.bool_]


def average_precision(present: Bool, score: F32) -> float:
    """Area under precision over recall, ties in score counted in the given order's disfavour."""
    # Absent first among equals, so that a constant score earns nothing.
    order = np.lexsort((present, -score))
    hits = present[order]
    precision = hits.cumsum() / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean()) if hits.any() else float("nan")


def auc(present: Bool, score: F32) -> float:
    """Chance that a positive scores above a negative, ties as half."""
    positive, negative = score[present], np.sort(score[~present])
    if not len(positive) or not len(negative):
        return float("nan")
    below = np.searchsorted(negative, positive, "left")
    up_to = np.searchsorted(negative, positive, "right")
    return float((below + up_to).mean() / 2 / len(negative))


def rank_of_truth(scores: F32, truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rank (0 = best) of the true column in each row of scores [N, K]; ties count against."""
    own = np.take_along_axis(scores, truth[:, None], 1)
    return np.asarray((scores >= own).sum(1) - 1, np.int64)


def bootstrap(
    count: int, statistic: Callable[[NDArray[np.int64]], float], draws: int = 500, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of a statistic of resampled row numbers."""
    rng = np.random.default_rng(seed)
    values = [statistic(rng.integers(0, count, count)) for _ in range(draws)]
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def presence_map(
    scores: F32, known: NDArray[np.int8], least: int = 1
) -> tuple[float, dict[int, float]]:
    """Mean AP over the columns of scores [N, K] with at least `least` positives, and each AP."""
    each = {}
    for column in range(scores.shape[1]):
        seen = known[:, column] >= 0
        present = known[seen, column] == 1
        if present.sum() >= least and not present.all():
            each[column] = average_precision(present, scores[seen, column])
    return float(np.mean(list(each.values()))) if each else float("nan"), each

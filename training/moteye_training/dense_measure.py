"""Measures of boxes: average precision at half overlap, centroid F1, presence by the best cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .pseudo import overlaps
from .text import F32

SAME_THING = 0.45
"""A box that overlaps a better one of its name by more is the same thing."""
LEAST = -2.0
"""Log-odds from which a box is told (a prototype set's `margin_q8`)."""


DIM, LOGIT_STEPS, EDGE_STEPS = 64, 16, 128
"""Entries of a cell that are compared; integers of a log-odds, and of a share of the picture."""


def values_of(cells: NDArray[np.int8]) -> F32:
    """Cells int8[N, side * side * 69] of the encoder file -> values float32[N, side², 69]."""
    values = cells.reshape(len(cells), -1, DIM + 5).astype(np.float32)
    values[..., : DIM + 1] /= LOGIT_STEPS
    values[..., DIM + 1 :] /= EDGE_STEPS
    return values


def cell_logits(values: F32, names: F32) -> F32:
    """Log-odds [N, cells, K] of names [K, 64] of length 1."""
    return np.asarray(values[..., :DIM] @ names.T + values[..., DIM : DIM + 1], np.float32)


def middles(side: int) -> F32:
    """x, y of the cells' middles in shares of the picture, float32[side², 2], row by row."""
    at = (np.arange(side, dtype=np.float32) + 0.5) / side
    return np.stack([np.tile(at, side), np.repeat(at, side)], 1)


def cell_edges(values: F32) -> F32:
    """Edges [N, cells, 4] in shares of the picture."""
    middle = middles(round(values.shape[1] ** 0.5))
    away = values[..., DIM + 1 :].clip(min=0)
    return np.concatenate([middle - away[..., :2], middle + away[..., 2:]], -1).clip(0, 1)


@dataclass(frozen=True)
class Found:
    """Boxes of one name over all photos: photo int[M], log-odds float[M], edges float[M, 4]."""

    photo: NDArray[np.int64]
    score: F32
    edges: F32


def boxes_of_name(logits: F32, edges: F32, least: float = LEAST) -> Found:
    """Boxes of one name: logits [N, cells], edges [N, cells, 4] -> best first within a photo."""
    photo, score, kept_edges = [], [], []
    for n in np.flatnonzero((logits >= least).any(1)):
        kept: list[int] = []
        for cell in np.argsort(-logits[n], kind="stable"):
            if logits[n, cell] < least:
                break
            if not kept or overlaps(edges[n, cell], edges[n, kept]).max() <= SAME_THING:
                kept.append(int(cell))
        photo += [n] * len(kept)
        score += [logits[n, cell] for cell in kept]
        kept_edges += [edges[n, cell] for cell in kept]
    return Found(
        np.array(photo, np.int64), np.array(score, np.float32),
        np.array(kept_edges, np.float32).reshape(-1, 4),
    )  # fmt: skip


def matched(found: Found, truth: Sequence[F32], centroid: bool) -> NDArray[np.bool_]:
    """Whether each box, best first over all photos, is of a true one that none before it was of.

    True boxes [M, 4] of each photo. `centroid`: its middle lies in the true box; else the two
    overlap by half. Returned in the order of falling score.
    """
    taken = [np.zeros(len(boxes), np.bool_) for boxes in truth]
    hits = np.zeros(len(found.score), np.bool_)
    for at, n in enumerate(np.argsort(-found.score, kind="stable")):
        photo, box = int(found.photo[n]), found.edges[n]
        true = truth[photo]
        if not len(true):
            continue
        overlap = overlaps(box, true)
        if centroid:
            x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            inside = (true[:, 0] <= x) & (x <= true[:, 2]) & (true[:, 1] <= y) & (y <= true[:, 3])
            good = inside & ~taken[photo]
        else:
            good = (overlap >= 0.5) & ~taken[photo]
        if good.any():
            # Of several that hold it the one it fits best.
            hits[at] = taken[photo][int(np.where(good, overlap, -1).argmax())] = True
    return hits


def precision_area(hits: NDArray[np.bool_], positives: int) -> float:
    """Average precision of hits in the order of falling score; what was not found counts as 0."""
    if not positives:
        return float("nan")
    precision = hits.cumsum() / np.arange(1, len(hits) + 1)
    # As usual for boxes: the best precision at this recall or a higher one.
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[hits].sum() / positives)


def f1_at(found: Found, hits: NDArray[np.bool_], positives: int, threshold: float) -> float:
    """F1 of the boxes from a threshold on; `hits` in the order of falling score."""
    count = int((found.score >= threshold).sum())
    return float(2 * hits[:count].sum() / max(1, count + positives))

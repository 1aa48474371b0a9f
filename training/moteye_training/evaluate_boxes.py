"""Figures of the cells behind the embedding: boxes, and presence by both together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .data import Photo
from .dense_measure import boxes_of_name, cell_edges, cell_logits, f1_at, matched, precision_area
from .measure import auc, bootstrap, presence_map
from .protocol import Measured, Protocol
from .text import F32, normalise
from .truth import HOUSEHOLD

MOST_FREQUENT = 10
BOX_MEANS = {"centroid_f1_top10": "f1", "ap50": "ap50"}
"""Means over the most frequent names, and the figure of a name that they are of."""


def frequent_names(photos: Sequence[Photo]) -> list[str]:
    """The names with the most boxes, most first."""
    count: dict[str, int] = {}
    for photo in photos:
        for box in photo.boxes:
            count[box[4]] = count.get(box[4], 0) + 1
    return sorted(count, key=lambda name: (-count[name], name))[:MOST_FREQUENT]


def true_boxes(photos: Sequence[Photo], name: str) -> list[F32]:
    """Edges float32[M, 4] of a name's boxes in each photo, in shares of its sides."""
    return [
        np.array([b[:4] for b in photo.boxes if b[4] == name], np.float32).reshape(-1, 4)
        / np.array([photo.width, photo.height] * 2, np.float32)
        for photo in photos
    ]


def box_figures(
    true: Mapping[str, Sequence[F32]], logits: Mapping[str, F32], edges: F32, threshold: float
) -> dict[str, dict[str, float]]:
    """AP50 and centroid F1 of each name.

    By name the true boxes [M, 4] of each photo, and logits [N, cells]; edges [N, cells, 4].
    """
    figures = {}
    for name, of_name in logits.items():
        truth, found = true[name], boxes_of_name(of_name, edges)
        positives = sum(map(len, truth))
        area = precision_area(matched(found, truth, centroid=False), positives)
        hits = matched(found, truth, centroid=True)
        figures[name] = {"ap50": area, "f1": f1_at(found, hits, positives, threshold)}
    return figures


def together(embedding_z: F32, best_cell: F32, weight: float) -> F32:
    """A score of presence: standard deviations of the embedding plus the best cell's log-odds."""
    return np.asarray(embedding_z + weight * best_cell, np.float32)


def cell_figures(
    protocol: Protocol, values: F32, z: dict[str, F32], folder: Path
) -> dict[str, Measured]:
    """Measured figures of cells' values [N, 36, 69] over the evaluation photos.

    `z` are the embedding's standard deviations above the background for "household" [1000, 24] and
    "plants" [172]. Threshold and weight were chosen on the hold-out (`calibration.json`).
    """
    chosen: dict[str, Any] = json.loads((folder / "calibration.json").read_text())["boxes"]
    rows = protocol.household_rows
    photos = [protocol.photos[row] for row in rows]
    names = frequent_names(photos)
    prefix = normalise(protocol.phrases([*HOUSEHOLD, *names])[:, :64])
    logits, edges = cell_logits(values[rows], prefix), cell_edges(values[rows])
    by_name = {name: logits[:, :, len(HOUSEHOLD) + at] for at, name in enumerate(names)}
    true = {name: true_boxes(photos, name) for name in names}
    figures = box_figures(true, by_name, edges, chosen["threshold"])
    found = {
        f"boxes.{identity}": Measured(
            float(np.mean([f[kind] for f in figures.values()])), np.nan, np.nan, len(rows), 0.0
        )
        for identity, kind in BOX_MEANS.items()
    }
    for name, figure in figures.items():
        for kind, value in figure.items():
            identity = f"boxes.{name.replace(' ', '_')}.{kind}"
            found[identity] = Measured(value, np.nan, np.nan, len(rows), 0.0)
    best, known = logits[:, :, : len(HOUSEHOLD)].max(1), protocol.household_known
    scores = {"cells": best, "together": together(z["household"], best, chosen["weight"])}
    for name, score in scores.items():
        found[f"household24.{name}.map"] = _presence(score, known)
    best = cell_logits(values[protocol.plant_rows], prefix[[HOUSEHOLD.index("potted plant")]])
    score, present = best[:, :, 0].max(1), protocol.plant_present
    both = together(z["plants"], score, chosen["weight"])
    for name, one in (("cells", score), ("together", both)):
        found[f"plants.{name}.auc"] = _auc(present, one)
    return found


def _presence(score: F32, known: NDArray[np.int8]) -> Measured:
    low, high = bootstrap(len(score), lambda r: presence_map(score[r], known[r])[0], draws=100)
    return Measured(presence_map(score, known)[0], low, high, len(score), float(known.mean()))


def _auc(present: NDArray[np.bool_], score: F32) -> Measured:
    low, high = bootstrap(len(score), lambda r: auc(present[r], score[r]))
    return Measured(auc(present, score), low, high, len(score), 0.5)

"""What is chosen for the cells on the hold-out: from where a box counts, what it adds to presence.

Goes into `calibration.json`, whose other parts follow from the embedding alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .bank import Bank, Exclusion, prefix_cosine
from .calibrate import see_photos
from .data import BOXED_SOURCES, Photo, is_validation
from .dense_measure import boxes_of_name, cell_edges, cell_logits, f1_at, matched, values_of
from .encoder import split_work
from .evaluate_boxes import frequent_names, together, true_boxes
from .measure import presence_map
from .space import EMBEDDING, Space
from .text import F32, TextCache, normalise
from .truth import COCO_NAMES, HOUSEHOLD, presence_matrix

THRESHOLDS = np.arange(-2.0, 1.01, 0.25)
WEIGHTS = np.arange(0.0, 2.01, 0.1)


def background_z(folder: Path, embeddings: Any, phrases: F32, dim: int = 64) -> F32:
    """Standard deviations above the shipped background, [N, K]."""
    exclusion = json.loads((folder / "calibration.json").read_text())["exclusion"]
    rule = Exclusion(exclusion["cosine"], exclusion["robust_z"], exclusion["most"])
    with np.load(folder / "bank.npz") as arrays:
        bank = Bank(arrays["embeddings"], arrays["content"])
    mean, std = bank.statistics(phrases, dim, rule)
    return np.asarray((prefix_cosine(embeddings, phrases, dim) - mean) / std, np.float32)


def calibrate_boxes(
    photos: Sequence[Photo], encoder: Path, space: Space, cache: TextCache, folder: Path,
    workers: int,
) -> dict[str, Any]:  # fmt: skip
    """Choose threshold and weight, and name the present encoder file; returns what was chosen."""
    held = [p for p in photos if is_validation(p) and p.source in BOXED_SOURCES]
    given = split_work(see_photos, held, encoder, workers=workers)
    values = values_of(given[:, EMBEDDING:])
    phrases = space.texts(cache.get(COCO_NAMES, prompted=True))
    logits, edges = cell_logits(values, normalise(phrases[:, :64])), cell_edges(values)
    z = background_z(folder, given[:, :EMBEDDING], phrases[: len(HOUSEHOLD)])
    known, best = presence_matrix(held)[:, : len(HOUSEHOLD)], logits[:, :, : len(HOUSEHOLD)].max(1)
    gains = [presence_map(together(z, best, float(w)), known, 3)[0] for w in WEIGHTS]
    scores = np.zeros(len(THRESHOLDS))
    for name in frequent_names(held):
        truth = true_boxes(held, name)
        found = boxes_of_name(logits[:, :, COCO_NAMES.index(name)], edges)
        hits, positives = matched(found, truth, centroid=True), sum(map(len, truth))
        scores += [f1_at(found, hits, positives, float(t)) for t in THRESHOLDS]
    chosen = {
        "threshold": float(THRESHOLDS[scores.argmax()]),
        "weight": round(float(WEIGHTS[int(np.argmax(gains))]), 2),
        "photos": len(held),
        "household": [round(gains[0], 3), round(max(gains), 3)],
        "meaning": "threshold: log-odds from which a box counts, by centroid F1 on the hold-out; "
        "weight: presence = z_64 + weight * log-odds of the best cell; household: mean AP on the "
        "hold-out by the embedding alone, and together",
    }
    path = folder / "calibration.json"
    stored = json.loads(path.read_text())
    stored["encoder_tflite_sha256"] = hashlib.sha256(encoder.read_bytes()).hexdigest()
    stored |= {"positions": True, "boxes": chosen}
    path.write_text(json.dumps(stored, indent=1) + "\n")
    return chosen

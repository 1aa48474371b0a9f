"""The dense head's step of the pipeline: views, truth, training, and how good it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .data import PLANT_SOURCES, Photo, is_validation
from .dense_measure import DIM, cell_edges, cell_logits
from .dense_rows import (
    Cells,
    Named,
    Vocabulary,
    fill_cells,
    known_columns,
    make_vocabulary,
    photo_boxes,
    view_boxes,
    view_crop,
)
from .evaluate_boxes import MOST_FREQUENT, box_figures
from .measure import presence_map
from .rows import photo_weight
from .text import F32, normalise
from .truth import COCO_NAMES, HOUSEHOLD

if TYPE_CHECKING:
    from .dense import DenseHead
    from .run import Run

VIEWS = (0, 2, 1, 3)
"""Whole, a crop, whole and mirrored, another crop; the first two of photos without own boxes."""
OWN_BOXES_WEIGHT = 2.0
"""How often a photo with boxes of its own is drawn, beside one with the detector's."""


@dataclass(frozen=True)
class DenseData:
    """Photos whose boxes are known, their views, and names."""

    photos: list[Photo]
    rows: list[tuple[int, int]]
    boxes: list[Named]
    known: NDArray[np.bool_]
    weight: NDArray[np.float64]
    vocabulary: Vocabulary


def dense_data(run: Run) -> DenseData:
    """Photos with boxes, those the detector looked at, and plants without any."""
    at, _, detected = run.detected
    of_photo = {row: detected[n] for n, row in enumerate(at)}
    chosen = [
        n for n, photo in enumerate(run.photos)
        if photo.boxes or n in of_photo or photo.source in PLANT_SOURCES
    ]  # fmt: skip
    photos = [run.photos[n] for n in chosen]
    boxes = [photo_boxes(run.photos[n], of_photo.get(n)) for n in chosen]
    vocabulary = make_vocabulary(photos)
    known = known_columns(vocabulary, run.presence[chosen], boxes)
    views = [(0,) if is_validation(p) else VIEWS if p.boxes else VIEWS[:2] for p in photos]
    rows = [(n, view) for view in VIEWS for n, own in enumerate(views) if view in own]
    share = np.array([photo_weight(p) * (OWN_BOXES_WEIGHT if p.boxes else 1.0) for p in photos])
    share[[is_validation(photo) for photo in photos]] = 0
    for n, some in enumerate(boxes):
        if not some and photos[n].source in PLANT_SOURCES:
            # A plant that nobody boxed says where no dog is, and not where the plant is.
            known[n, [c for c, m in enumerate(vocabulary.members) if "potted plant" in m]] = False
    weight = np.array([share[n] / len(views[n]) for n, _ in rows])
    return DenseData(photos, rows, boxes, known, weight, vocabulary)


def boxes_of_views(data: DenseData) -> list[Named]:
    """The boxes of each view."""
    found = []
    for n, view in data.rows:
        photo = data.photos[n]
        crop, mirrored, _ = view_crop(photo, view)
        found.append(view_boxes(data.boxes[n], (photo.width, photo.height), crop, mirrored))
    return found


def prefixes(run: Run, names: Sequence[str]) -> F32:
    """Names as the head is asked for them: float32[K, 64] of length 1."""
    return normalise(run.space.texts(run.text_cache.get(list(names), prompted=True))[:, :DIM])


def box_measures(
    logits: F32, edges: F32, boxes: list[Named], known: NDArray[np.int8], threshold: float = 0.0
) -> dict[str, float]:
    """Presence by the best cell, centroid F1 and AP50 over the ten most frequent names.

    logits [N, 36, 80] of COCO's names, edges [N, 36, 4] and `boxes` in shares, known int8[N, 80].
    """
    count = [sum(box[0] == name for some in boxes for box in some) for name in COCO_NAMES]
    frequent = {COCO_NAMES[column]: column for column in np.argsort(count)[::-1][:MOST_FREQUENT]}
    true = {
        name: [
            np.array([b[1:] for b in some if b[0] == name], np.float32).reshape(-1, 4)
            for some in boxes
        ]
        for name in frequent
    }
    by_name = {name: logits[:, :, column] for name, column in frequent.items()}
    figures = box_figures(true, by_name, edges, threshold).values()
    means = {kind: float(np.mean([one[kind] for one in figures])) for kind in ("f1", "ap50")}
    household, _ = presence_map(logits[:, :, : len(HOUSEHOLD)].max(1), known[:, :24], 3)
    return {"household": household, **means}


def add_cells(run: Run) -> None:
    """Train the head, put it behind the encoder's graph, and choose what is chosen for it."""
    from .dense_export import graft

    head, data, cells = train(run)
    train_rows = np.flatnonzero(data.weight)
    ranges = train_rows[:: max(1, len(train_rows) // run.plan.calibration_photos)]
    graft(run.paths.encoder, head, cells, ranges)
    choose_for_cells(run)


def choose_for_cells(run: Run) -> None:
    """What is chosen on the hold-out for the present encoder's cells, in `calibration.json`."""
    from .calibrate_boxes import calibrate_boxes

    chosen = calibrate_boxes(
        run.photos, run.paths.encoder, run.space, run.text_cache, run.paths.space,
        run.plan.workers,
    )  # fmt: skip
    print(f"boxes: {chosen}")


def train(run: Run) -> tuple[DenseHead, DenseData, Cells]:
    """Train the head on the encoder's features; `dense.pt` in the run's folder."""
    from .dense import DenseOptions, assign, dense_values, load_dense, train_dense

    data, folder, encoder = dense_data(run), run.paths.out / "dense", run.paths.encoder
    cells = fill_cells(folder, encoder, data.photos, data.rows, run.plan.workers)
    done = run.paths.out / "dense.pt"
    if done.exists():
        print("boxes: dense.pt is there, not trained again")
        return load_dense(done, cells), data, cells
    of_view = [n for n, _ in data.rows]
    truth = assign(boxes_of_views(data), data.vocabulary, data.known[of_view])
    names = prefixes(run, data.vocabulary.names)
    held = np.array([
        row for row, (n, _) in enumerate(data.rows)
        if is_validation(data.photos[n]) and data.photos[n].source.startswith("coco-")
        and data.photos[n].boxes
    ])  # fmt: skip
    held_photos = [of_view[row] for row in held]
    known = np.where(data.known[held_photos][:, : len(COCO_NAMES)], 0, -1).astype(np.int8)
    for row, n in enumerate(held_photos):
        for box in data.boxes[n]:
            known[row, COCO_NAMES.index(box[0])] = 1

    def check(head: DenseHead) -> dict[str, float]:
        values = dense_values(head, cells, held)
        logits, edges = cell_logits(values, names[: len(COCO_NAMES)]), cell_edges(values)
        return box_measures(logits, edges, [data.boxes[n] for n in held_photos], known)

    options = DenseOptions(minutes=run.plan.dense_minutes, steps=run.plan.dense_steps)
    words = prefixes(run, run.paths.tags[::4])
    head = train_dense(cells, truth, data.weight, names, words, options, run.paths.out, check)
    return head, data, cells

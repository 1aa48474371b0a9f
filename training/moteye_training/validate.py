"""Measures on the validation hold-out: what choices are made on, never the evaluation sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .data import Photo, is_validation
from .measure import auc, presence_map, rank_of_truth
from .space import Space
from .text import F32, TextCache, normalise
from .truth import COCO_NAMES, HOUSEHOLD, ROOMS, is_held_out_name, presence_matrix

PLANT = COCO_NAMES.index("potted plant")


@dataclass(frozen=True)
class Validation:
    """Photos to embed, and the names and captions to compare them with (in the space).

    `photos` are all hold-out photos, then all others whose label is a held-out name: their names
    were never taught, so they stand in for names that a user invents.
    """

    photos: list[int]
    known: NDArray[np.int8]
    coco: F32
    seen_rows: NDArray[np.int64]
    seen_truth: NDArray[np.int64]
    seen_names: F32
    new_rows: NDArray[np.int64]
    new_truth: NDArray[np.int64]
    new_names: F32
    caption_rows: NDArray[np.int64]
    captions: F32

    def measures(self, embedding: F32, dim: int = 256) -> dict[str, float]:
        """The hold-out's figures of embeddings float32[len(photos), 256] at a prefix."""

        def cut(x: F32) -> F32:
            return normalise(x[:, :dim])

        pictures = cut(embedding)

        def top1(rows: NDArray[np.int64], truth: NDArray[np.int64], names: F32) -> float:
            return float((rank_of_truth(pictures[rows] @ cut(names).T, truth) == 0).mean())

        scores = pictures @ cut(self.coco).T
        matched = pictures[self.caption_rows] @ cut(self.captions).T
        found = rank_of_truth(matched, np.arange(len(matched)))
        held_out = len(self.known)
        household, _ = presence_map(scores[:held_out, : len(HOUSEHOLD)], self.known[:, :24], 3)
        plant = self.known[:, PLANT]
        return {
            "seen": top1(self.seen_rows, self.seen_truth, self.seen_names),
            "new": top1(self.new_rows, self.new_truth, self.new_names),
            "household": household,
            "plant_auc": auc(plant[plant >= 0] == 1, scores[:held_out][plant >= 0, PLANT]),
            "caption_r5": float((found < 5).mean()),
        }


def make_validation(photos: Sequence[Photo], cache: TextCache, space: Space) -> Validation:
    """Collect the hold-out; embeds what names it needs."""
    held = [i for i, photo in enumerate(photos) if is_validation(photo)]
    new = [
        i
        for i, photo in enumerate(photos)
        if not is_validation(photo) and photo.label_text and is_held_out_name(photo.label_text)
    ]
    chosen = [photos[i] for i in held + new]
    labels = [photo.label_text for photo in chosen]
    seen = [
        i for i, label in enumerate(labels[: len(held)]) if label and not is_held_out_name(label)
    ]
    unseen = [i for i, label in enumerate(labels) if label and is_held_out_name(label)]
    seen_names = sorted({labels[i] for i in seen})
    every = sorted({p.label_text for p in photos if p.label_text})
    new_names = sorted({labels[i] for i in unseen})
    # Among known names too: a new name must win against those that were taught.
    new_names += [name for name in every if not is_held_out_name(name)][::12]
    captioned = [i for i, photo in enumerate(chosen[: len(held)]) if photo.captions]
    known = presence_matrix([photos[i] for i in held])
    for row, label in enumerate(labels[: len(held)]):
        # A room without boxes is not known to hold no plant; a shoe on white is.
        if chosen[row].source == "clothing" and label not in ROOMS:
            known[row, PLANT] = 0
    return Validation(
        held + new,
        known,
        space.texts(cache.get(COCO_NAMES, prompted=True)),
        np.array(seen),
        np.array([seen_names.index(labels[i]) for i in seen]),
        space.texts(cache.get(seen_names, prompted=True)),
        np.array(unseen),
        np.array([new_names.index(labels[i]) for i in unseen]),
        space.texts(cache.get(new_names, prompted=True)),
        np.array(captioned),
        space.texts(cache.get([chosen[i].captions[0] for i in captioned], prompted=False)),
    )

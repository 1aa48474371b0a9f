"""Rows that the student is distilled on: pixels, teacher targets, what is known in words."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from .augment import box_crops
from .data import PLANT_SOURCES, POTTED_SOURCES, Photo
from .imagenet import class_probabilities
from .space import Space, raised
from .teacher import TeacherHead
from .text import F32
from .towers import BOX_VIEW, Cache, Group
from .truth import TextBank, photo_texts

SOURCE_WEIGHT = {
    "vn-caption-images": 0.7,
    "clothing": 0.6,
    "garden-plants": 0.8,
    "houses-rooms": 2.0,
    "unsplash-picsum": 1.2,
    "coco-val2017": 1.5,
    "coco-train2017": 1.5,
    "coco-caption1": 1.3,
}
"""Household scenes count more than their share of the photos, shop and catalogue ones less."""
RARE_HOUSEHOLD = ("potted plant", "vase", "cat", "dog", "cup", "couch", "bed", "tv", "laptop")


def box_text_rows(photos: Sequence[Photo], bank: TextBank) -> dict[tuple[int, int], int]:
    """(photo, number of its box crop) -> row of the box's name in the bank."""
    rows: dict[tuple[int, int], int] = {}
    for index, photo in enumerate(photos):
        crops = box_crops(photo)
        if not crops:
            continue
        pairs = photo_texts(photo)
        for number, (_, name) in enumerate(crops):
            rows[index, number] = int(bank.of_photo[index][pairs.index((name, True))])
    return rows


def photo_weight(photo: Photo) -> float:
    """How often a photo is drawn, relative to others."""
    weight = SOURCE_WEIGHT.get(photo.source, 1.0)
    if photo.source in POTTED_SOURCES or "potted plant" in photo.box_names:
        weight *= 3.0
    elif photo.source not in PLANT_SOURCES and set(photo.box_names) & set(RARE_HOUSEHOLD):
        weight *= 1.6
    return weight


@dataclass
class Rows:
    """One entry a view: where its pixels are, its targets, its photo, its box (or -1), weight."""

    pixels: list[NDArray[np.uint8]]
    part: NDArray[np.int64]
    place: NDArray[np.int64]
    target: NDArray[np.float16]
    classes: NDArray[np.float16]
    photo: NDArray[np.int64]
    box: NDArray[np.int64]
    weight: NDArray[np.float64]
    whole: NDArray[np.bool_]

    def load(self, chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Pixels uint8[B, 96, 96, 3] of the chosen rows."""
        return np.stack([self.pixels[self.part[r]][self.place[r]] for r in chosen])


def gather(
    photos: Sequence[Photo],
    caches: Sequence[tuple[Group, Cache]],
    head: TeacherHead,
    space: Space,
    keep: NDArray[np.bool_],
) -> Rows:
    """Rows of the given groups whose photo is kept, with the teacher's targets in the space."""
    weights = np.array([photo_weight(photo) for photo in photos])
    columns: dict[str, list[NDArray[Any]]] = {
        name: []
        for name in ("part", "place", "target", "classes", "photo", "box", "weight", "whole")
    }
    for part, (group, cache) in enumerate(caches):
        photo = np.array([p for p, _ in group.rows])
        view = np.array([v for _, v in group.rows])
        place = np.flatnonzero(keep[photo] & (np.asarray(cache.done) == 1))
        for some in np.array_split(place, max(1, len(place) // 2048)):
            raw = np.asarray(cache.features[some], np.float32)
            columns["target"].append(space.pictures(head(raw)).astype(np.float16))
            classes = class_probabilities(raw, head.layout)
            columns["classes"].append(classes.astype(np.float16))
        columns["part"].append(np.full(len(place), part))
        columns["place"].append(place)
        columns["photo"].append(photo[place])
        columns["box"].append(np.where(view >= BOX_VIEW, view - BOX_VIEW, -1)[place])
        columns["whole"].append(np.full(len(place), group.name == "v0"))
        # The whole photo is what the device sees: it counts as two of the other views.
        columns["weight"].append(weights[photo[place]] * (2.0 if group.name == "v0" else 1.0))
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    return Rows([cache.pixels for _, cache in caches], **joined)


def raise_to_floor(
    rows: Rows, prominent: NDArray[np.bool_], names: F32, floor: float = 0.25
) -> None:
    """Targets of whole photos come at least this close to the names of what they surely show.

    The teacher's ImageNet classes have no person: a portrait is to it a necktie or a cup. Where
    boxes or the detector are sure of a large thing, its name's direction is added as far as the
    cosine falls short. prominent bool[photos, K], names float32[K, 256] of length 1.
    """
    for at in np.array_split(np.flatnonzero(rows.whole), 16):
        target = rows.target[at].astype(np.float32)
        target = raised(target, names, prominent[rows.photo[at]], floor, share=0.8)
        rows.target[at] = target.astype(np.float16)


def to_input(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """uint8[B, 96, 96, 3] -> float[B, 3, 96, 96] in [-1, 127/128], channels last in memory."""
    x = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2)
    return (x.float() - 128) / 128


def jitter(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Small changes that need no new target: flip, shift by 4 pixels, sharpness, gain.

    x float[B, 3, S, S], changed in groups of the batch so that each operation is one call.
    """
    flip = torch.from_numpy(rng.random(len(x)) < 0.5).to(x.device)
    x = torch.where(flip[:, None, None, None], x.flip(3), x)
    side = x.shape[2]
    padded = F.pad(x, (4, 4, 4, 4), mode="replicate")
    parts = []
    for some in padded.chunk(8):
        dx, dy = (int(v) for v in rng.integers(0, 9, 2))
        some = some[:, :, dy : dy + side, dx : dx + side]
        amount = float(rng.uniform(-0.5, 0.5))
        if abs(amount) > 0.15:
            soft = F.avg_pool2d(F.pad(some, (1, 1, 1, 1), mode="replicate"), 3, 1)
            some = some + (some - soft) * amount
        gain, shift = float(rng.uniform(0.9, 1.1)), float(rng.uniform(-0.06, 0.06))
        parts.append(some * gain + shift)
    return torch.cat(parts).clamp(-1, 127 / 128).contiguous(memory_format=torch.channels_last)


def choose_texts(
    rows: Rows,
    chosen: NDArray[np.int64],
    bank: TextBank,
    box_rows: dict[tuple[int, int], int],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """One text's row in the bank for each chosen row, -1 where nothing is known."""
    texts = np.full(len(chosen), -1, np.int64)
    for at, row in enumerate(chosen):
        photo, box = int(rows.photo[row]), int(rows.box[row])
        if box >= 0:
            texts[at] = box_rows[photo, box]
        elif len(bank.of_photo[photo]):
            texts[at] = rng.choice(bank.of_photo[photo])
    return texts


def batches(
    rows: Rows, size: int, seed: int, ahead: int = 3, pixels: bool = True
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Endless weighted batches (rows, pixels), read ahead by a thread; without `pixels` none."""
    rng = np.random.default_rng(seed)
    probability = rows.weight / rows.weight.sum()
    ready: queue.Queue[tuple[NDArray[np.int64], NDArray[np.uint8]]] = queue.Queue(ahead)

    def work() -> None:
        while True:
            pool = rng.choice(len(probability), size * 64, p=probability)
            for chosen in pool.reshape(64, size):
                ready.put((chosen, rows.load(chosen if pixels else chosen[:1])))

    threading.Thread(target=work, daemon=True).start()
    while True:
        yield ready.get()

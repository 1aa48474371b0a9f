"""What is known of a photo in words: texts, presence of named things, held-out names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .data import BOXED_SOURCES, PLANT_SOURCES, POTTED_SOURCES, Photo, is_validation, key_bucket
from .general import general_names, presence_table
from .text import F32, TextCache

ROOMS = ("bathroom", "bedroom", "kitchen", "living room")

HOUSEHOLD = (
    "person", "chair", "dining table", "car", "cup", "bottle", "handbag", "bowl", "backpack",
    "tv", "book", "potted plant", "couch", "laptop", "clock", "bicycle", "umbrella", "dog", "bed",
    "cat", "vase", "suitcase", "bird", "teddy bear",
)  # fmt: skip
"""The 24 phrases of the presence measure `household24`."""

COCO_NAMES = (
    *HOUSEHOLD, "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "tie", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "wine glass",
    "fork", "knife", "spoon", "banana", "apple", "sandwich", "orange", "broccoli", "carrot",
    "hot dog", "pizza", "donut", "cake", "toilet", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "scissors", "hair drier", "toothbrush",
)  # fmt: skip


def is_held_out_name(name: str) -> bool:
    """Whether a label's text is kept from training, as a stand-in for names never seen."""
    return name not in COCO_NAMES and key_bucket("name:" + name) < 5


def photo_texts(photo: Photo) -> list[tuple[str, bool]]:
    """(text, is a name) pairs that describe the photo; a caption counts as it is.

    Held-out names are left out; an empty list means the photo teaches by distillation alone.
    """
    texts: list[tuple[str, bool]] = [(caption, False) for caption in photo.captions]
    label = photo.label_text
    if label and not is_held_out_name(label):
        texts.append((label, True))
    if label == "face":
        texts.append(("person", True))
    texts += [(name, True) for name in general_names(photo)]
    if photo.source in POTTED_SOURCES:
        texts += [("potted plant", True), ("house plant", True)]
    names = photo.box_names
    if names and not photo.captions:
        texts.append((", ".join(names[:4]), True))
    texts += [(name, True) for name in names]
    return list(dict.fromkeys(texts))


def known_presence(photo: Photo) -> dict[str, bool]:
    """COCO names known to be in the photo or not; empty where nobody looked for all of them."""
    if photo.source in BOXED_SOURCES:
        names = set(photo.box_names)
        return {name: name in names for name in COCO_NAMES}
    if photo.source in PLANT_SOURCES:
        known = {name: False for name in COCO_NAMES if name not in ("vase", "bowl", "person")}
        if photo.source in POTTED_SOURCES:
            known["potted plant"] = True
        else:
            # A garden plant is a plant, but in no pot: leave it undecided.
            del known["potted plant"]
        return known
    if photo.source == "grocery":
        return dict.fromkeys(("person", "cat", "dog", "potted plant", "bed", "couch", "car"), False)
    return {}


@dataclass(frozen=True)
class TextBank:
    """Unique texts' embeddings and, per photo, which of them describe it."""

    vectors: F32
    of_photo: tuple[NDArray[np.int64], ...]


def build_text_bank(photos: Sequence[Photo], cache: TextCache) -> TextBank:
    """Embed all texts of the photos once; `of_photo[i]` are rows of `vectors`, maybe none."""
    pairs = [photo_texts(photo) for photo in photos]
    order = {pair: row for row, pair in enumerate(dict.fromkeys(p for ps in pairs for p in ps))}
    vectors = np.zeros((len(order), 384), np.float32)
    for prompted in (False, True):
        chosen = [pair for pair in order if pair[1] is prompted]
        rows = [order[pair] for pair in chosen]
        vectors[rows] = cache.get([text for text, _ in chosen], prompted)
    of_photo = tuple(np.array([order[p] for p in ps], np.int64) for ps in pairs)
    return TextBank(vectors, of_photo)


def presence_matrix(photos: Sequence[Photo]) -> NDArray[np.int8]:
    """int8[N, len(COCO_NAMES)]: 1 present, 0 absent, -1 not known."""
    return presence_table(photos, COCO_NAMES, known_presence)


def training_mask(photos: Sequence[Photo]) -> NDArray[np.bool_]:
    """True for the photos that are not in the validation hold-out."""
    return np.array([not is_validation(photo) for photo in photos])

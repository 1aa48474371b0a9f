"""Sentences to learn from: people's captions, the teacher's nearest captions, labels in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data import PLANT_SOURCES, Photo, is_validation
from ..truth import ROOMS
from .vocabulary import LONGEST, UNKNOWN, Vocabulary

I64 = NDArray[np.int64]

PEOPLE = ("coco-val2017", "coco-caption1", "coco-train2017", "flickr8k")
"""Sources whose captions people wrote for a picture; the web's speak of what is not in it."""
PSEUDO_WEIGHT, LABEL_WEIGHT = 0.35, 0.1


def label_sentence(photo: Photo) -> str:
    """What a label says of a photo without captions, as a sentence; empty where it says nothing."""
    if photo.source in PLANT_SOURCES:
        return "a plant in a garden" if photo.source == "garden-plants" else "a potted plant"
    label = photo.label_text
    if label in ROOMS:
        return f"a {label} with furniture"
    names = [label] if label else list(photo.box_names[:2])
    if not names:
        return ""
    said = [f"{'an' if name[0] in 'aeiou' else 'a'} {name.lower()}" for name in names]
    return "a picture of " + " and ".join(said)


@dataclass(frozen=True)
class Sentences:
    """N sentences: photo, length and weight [N], words int64[N, LONGEST] (END behind the end)."""

    keys: tuple[str, ...]
    photo: I64
    words: I64
    length: I64
    weight: NDArray[np.float64]


def padded(sentences: Sequence[Sequence[int]]) -> I64:
    """int64[N, LONGEST] of word numbers, END (0) behind each sentence's end."""
    rows = np.zeros((len(sentences), LONGEST), np.int64)
    for row, numbers in zip(rows, sentences, strict=True):
        row[: len(numbers)] = numbers
    return rows


def gather(
    photos: Sequence[Photo], vocabulary: Vocabulary, pseudo: dict[str, list[str]],
    labels: bool,
) -> Sentences:  # fmt: skip
    """All sentences of the photos that may be trained on. A photo's captions share its weight."""
    keys: list[str] = []
    rows: list[tuple[int, list[int], float]] = []
    for photo in photos:
        if is_validation(photo):
            continue
        found = [(text, 1.0) for text in photo.captions]
        found += [(text, PSEUDO_WEIGHT) for text in pseudo.get(photo.key, ())]
        if labels and not photo.captions and (text := label_sentence(photo)):
            found.append((text, LABEL_WEIGHT))
        encoded = [(vocabulary.encode(text), weight) for text, weight in found]
        kept = [(n, w) for n, w in encoded if n and n.count(UNKNOWN) <= len(n) // 4]
        rows += [(len(keys), numbers, weight) for numbers, weight in kept]
        if kept:
            keys.append(photo.key)
    return Sentences(
        tuple(keys),
        np.array([photo for photo, _, _ in rows], np.int64),
        padded([numbers for _, numbers, _ in rows]),
        np.array([len(numbers) for _, numbers, _ in rows], np.int64),
        np.array([weight for _, _, weight in rows]),
    )


def batches(sentences: Sentences, batch: int, seed: int) -> Iterator[I64]:
    """Endless batches of sentence numbers, drawn by weight, of like length within a batch."""
    rng = np.random.default_rng(seed)
    probability = sentences.weight / sentences.weight.sum()
    while True:
        drawn = rng.choice(len(probability), batch * 16, p=probability)
        drawn = drawn[np.argsort(sentences.length[drawn], kind="stable")].reshape(16, batch)
        yield from drawn[rng.permutation(16)]

"""Names of the 1,000 ImageNet classes as text embeddings, and the towers' class probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .text import F32, TextCache, normalise
from .towers import CLASSES, FEATURE


def class_names(models: Path) -> list[list[str]]:
    """Up to two synonyms for each of the 1,000 classes (the file's line 0 is background)."""
    lines = (models / "teacher" / "imagenet_labels_1001.txt").read_text().splitlines()
    return [[name.strip() for name in line.split(",")][:2] for line in lines[1:CLASSES]]


def class_vectors(models: Path, cache: TextCache) -> F32:
    """float32[1000, 384]: mean embedding of each class's synonyms, of length 1."""
    names = class_names(models)
    cache.add([name for synonyms in names for name in synonyms], prompted=True)
    return normalise(np.stack([cache.get(synonyms, prompted=True).mean(0) for synonyms in names]))


def softmax(x: F32) -> F32:
    """Over the last axis."""
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True), np.float32)


def class_probabilities(rows: F32) -> F32:
    """Rows float[B, ROW] of the towers -> float32[B, 1000], mean of both towers' softmax."""
    logits = np.asarray(rows[:, 2 * FEATURE :], np.float32)
    first, second = logits[:, 1:CLASSES], logits[:, CLASSES + 1 :]
    return np.asarray((softmax(first) + softmax(second)) / 2, np.float32)

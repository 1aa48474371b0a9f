"""Names of the 1,000 ImageNet classes as text embeddings, and the towers' class probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .text import F32, TextCache, normalise
from .towers import CLASSES, COMPOSED, Layout, class_names

IMAGENET_CLASSES = CLASSES - 1


def class_vectors(models: Path, cache: TextCache) -> F32:
    """float32[1000, 384]: mean embedding of each class's synonyms, of length 1."""
    names = class_names(models)
    cache.add([name for synonyms in names for name in synonyms], prompted=True)
    return normalise(np.stack([cache.get(synonyms, prompted=True).mean(0) for synonyms in names]))


def softmax(x: F32) -> F32:
    """Over the last axis."""
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True), np.float32)


def class_probabilities(rows: F32, layout: Layout = COMPOSED) -> F32:
    """Rows float[B, row] of a teacher -> float32[B, 1000], mean of its towers' softmax."""
    logits = np.asarray(rows[:, layout.width :], np.float32)
    each = logits.reshape(len(rows), layout.towers, CLASSES)[:, :, 1:]
    return np.asarray(softmax(each).mean(1), np.float32)

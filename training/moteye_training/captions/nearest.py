"""The teacher's nearest captions: a rival to beat, and sentences for photos that have none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..augment import squash
from ..data import Photo, open_photo
from ..teacher import TeacherHead
from ..text import F32, TextTower
from ..towers import TEACHER_SIDE, Towers


def teacher_embeddings(photos: Sequence[Photo], models: Path, alignment: Path) -> F32:
    """float32[N, 384] of whole photos, rows of length 1."""
    from tqdm import tqdm

    towers, head = Towers(models), TeacherHead(alignment)
    rows = [
        towers(squash(open_photo(photo), TEACHER_SIDE))
        for photo in tqdm(photos, unit="photo", mininterval=20)
    ]
    return head(np.stack(rows))


def caption_embeddings(texts: Sequence[str], space: Path) -> F32:
    """float32[N, 384] of texts, rows of length 1."""
    return TextTower(space).encode(texts)


def nearest(pictures: F32, texts: F32, count: int) -> np.ndarray:
    """int64[N, count]: the texts nearest to each picture, best first.

    Both are centred first: a caption that lies near all pictures is near none.
    """
    given = pictures - pictures.mean(0)
    said = texts - texts.mean(0)
    said /= np.linalg.norm(said, axis=1, keepdims=True)
    return np.argsort(-(given @ said.T), axis=1, kind="stable")[:, :count]

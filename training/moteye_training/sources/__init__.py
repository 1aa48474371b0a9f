"""Public photo collections as `Photo` records, each read as its own tools lay it out on disk.

`--source NAME=FOLDER` adds one to the training photos. Pictures that look like one of the
evaluation sets are left out: parts of COCO are in both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..data import Photo, evaluation_photos
from . import coco, flowers102, food101, imagenet1k, img2dataset
from .alike import hashes, near

READERS: dict[str, Callable[[Path], Iterator[Photo]]] = {
    "cc3m": img2dataset.photos,
    "coco": coco.photos,
    "flowers102": flowers102.photos,
    "food101": food101.photos,
    "imagenet1k": imagenet1k.photos,
}


class SourceError(ValueError):
    """A `--source` that cannot be read; the message names it and says what would do."""


def parse_source(text: str) -> tuple[str, Path]:
    """`NAME=FOLDER` -> (name, folder). Raises SourceError."""
    name, equals, folder = text.partition("=")
    if name not in READERS or not equals:
        raise SourceError(f"{text!r} is not NAME=FOLDER with a name of {', '.join(READERS)}")
    if not Path(folder).is_dir():
        raise SourceError(f"{text!r}: there is no folder {folder}")
    return name, Path(folder)


def read_sources(sources: Sequence[str], data: Path, cache: Path) -> list[Photo]:
    """Photos of all sources, without those that look like a photo of the evaluation sets.

    `cache` is a folder for the pictures' hashes. Raises SourceError, and ShardError for a record.
    """
    parsed = [parse_source(source) for source in sources]
    if not parsed:
        return []
    held = hashes(evaluation_photos(data), cache / "evaluation.hash.npy")
    kept: list[Photo] = []
    for name, folder in parsed:
        photos = list(READERS[name](folder))
        if not photos:
            raise SourceError(f"{name}={folder}: no photo is there")
        alike = near(hashes(photos, cache / f"{name}.hash.npy"), held)
        kept += [photos[i] for i in np.flatnonzero(~alike)]
        print(f"{name}: {len(photos)} photos, {int(alike.sum())} like an evaluation photo left out")
    return kept

"""Food-101 (vision.ee.ethz.ch/datasets_extra/food-101).

FOLDER/meta/train.json   {"churros": ["churros/1004234", …], …}
FOLDER/images/churros/1004234.jpg
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..data import Photo, ShardError
from .files import file_photo, load_json


def photos(folder: Path, split: str = "train") -> Iterator[Photo]:
    """Photos of the `train` or `test` list. Raises ShardError."""
    listing = folder / "meta" / f"{split}.json"
    classes = load_json(listing)
    if not isinstance(classes, dict):
        raise ShardError(listing, "(whole)", "not a map from class to pictures")
    for label, pictures in sorted(classes.items()):
        if not isinstance(pictures, list) or not all(isinstance(p, str) for p in pictures):
            raise ShardError(listing, label, "not a list of pictures")
        for picture in pictures:
            path = folder / "images" / f"{picture}.jpg"
            yield file_photo(path, f"food101-{picture}", "food101", label=label.replace("_", " "))

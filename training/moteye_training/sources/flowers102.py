"""Oxford Flowers 102 (robots.ox.ac.uk/~vgg/data/flowers/102).

FOLDER/jpg/image_00001.jpg …   FOLDER/imagelabels.mat   FOLDER/setid.mat
FOLDER/cat_to_name.json        {"1": "pink primrose", …}: the .mat files hold numbers only
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..data import Photo, ShardError
from .files import file_photo, load_json

TRAINING_SETS = ("trnid", "valid")


def photos(folder: Path, sets: Sequence[str] = TRAINING_SETS) -> Iterator[Photo]:
    """Photos of the official sets (`trnid`, `valid`, `tstid`). Raises ShardError."""
    names = load_json(folder / "cat_to_name.json")
    labels = _numbers(folder / "imagelabels.mat", "labels")
    for name in sets:
        for image in _numbers(folder / "setid.mat", name):
            if not 1 <= image <= len(labels):
                raise ShardError(folder / "setid.mat", name, f"picture {image} has no label")
            label = names.get(str(labels[image - 1]))
            if not label:
                record = f"class {labels[image - 1]}"
                raise ShardError(folder / "cat_to_name.json", record, "has no name")
            path = folder / "jpg" / f"image_{image:05d}.jpg"
            yield file_photo(path, f"flowers102-{image}", "flowers102", label=label)


def _numbers(path: Path, key: str) -> NDArray[np.int64]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if not path.exists():
        raise ShardError(path.parent, path.name, "is missing")
    try:
        return np.asarray(loadmat(path)[key], np.int64).ravel()
    except (MatReadError, NotImplementedError, KeyError, ValueError, TypeError, OSError) as error:
        raise ShardError(path, key, f"cannot be read ({error})") from None

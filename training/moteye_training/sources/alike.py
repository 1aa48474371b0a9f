"""Pictures that look alike: 64-bit difference hashes, at most 4 bits apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from ..data import Photo, open_photo

U64 = NDArray[np.uint64]
ALIKE_BITS = 4


def difference_hash(image: Image.Image) -> int:
    """64 bits: of 9 x 8 grey cells, whether each is darker than its right neighbour."""
    cells = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    bits = (cells[:, :-1] < cells[:, 1:]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hashes(photos: Sequence[Photo], cache: Path) -> U64:
    """Hashes uint64[N]; kept in `cache` for as long as the number of photos stays."""
    if cache.exists():
        stored: U64 = np.load(cache)
        if len(stored) == len(photos):
            return stored
    bar = tqdm(photos, desc=cache.stem, unit="photo", mininterval=5)
    found = np.array([difference_hash(open_photo(photo)) for photo in bar], np.uint64)
    cache.parent.mkdir(parents=True, exist_ok=True)
    part = cache.with_suffix(".part.npy")
    np.save(part, found)
    part.replace(cache)
    return found


def near(hashes_a: U64, hashes_b: U64, bits: int = ALIKE_BITS) -> NDArray[np.bool_]:
    """For each hash of `a` whether one of `b` is at most `bits` away."""
    result = np.zeros(len(hashes_a), np.bool_)
    for start in range(0, len(hashes_a), 4096):
        some = hashes_a[start : start + 4096]
        distance = np.bitwise_count(some[:, None] ^ hashes_b[None])
        result[start : start + 4096] = distance.min(1, initial=64) <= bits
    return result

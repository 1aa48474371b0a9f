"""Maps of many photos, computed once and kept: the decoder's training reads only these.

A folder holds `maps.npy` (int8[rows, P, C], or pixels), `rows.npz` (photo key, view, the encoder's
hash) and `done`, how many rows are computed; another encoder makes them anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..augment import photometric, squash, view_rng
from ..cache import write_whole
from ..data import Photo, open_photo
from ..towers import STUDENT_SIDE
from .tap import I8, MapReader


def caption_view(image: Image.Image, key: str, view: int) -> Image.Image:
    """View of a captioned photo: 0 whole, 1 mirrored, others cropped so little that words hold.

    A crop keeps at least 70 % of the area; mirrored by chance; colours as a cheap camera has them.
    """
    if view == 0:
        return image
    if view == 1:
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    rng = view_rng(key, 100 + view)
    width, height = image.size
    share = float(np.sqrt(rng.uniform(0.7, 1.0)))
    crop_w, crop_h = max(16, round(width * share)), max(16, round(height * share))
    left = int(rng.integers(0, width - crop_w + 1))
    top = int(rng.integers(0, height - crop_h + 1))
    image = image.crop((left, top, left + crop_w, top + crop_h))
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return photometric(image, rng)


@dataclass(frozen=True)
class Maker:
    """What is made of a view: an array of this shape and dtype."""

    shape: tuple[int, ...]
    dtype: Any
    make: Callable[[Image.Image], Any]


class ViewCache:
    """One array a (photo, view) pair, of one maker (`tag`), in a folder that is filled once."""

    def __init__(self, folder: Path, tag: str) -> None:
        self._folder, self._tag = folder, tag

    def _stored(self) -> tuple[list[tuple[str, int]], int]:
        """(pairs that the folder is laid out for, how many of their rows are computed)."""
        try:
            with np.load(self._folder / "rows.npz") as stored:
                if str(stored["encoder"]) != self._tag:
                    return [], 0
                pairs = zip(stored["keys"].tolist(), stored["views"].tolist(), strict=True)
                return list(pairs), int((self._folder / "done").read_text())
        except FileNotFoundError:
            return [], 0

    def _note(self, done: int) -> None:
        """So many rows are computed."""
        write_whole(self._folder / "done", lambda file: file.write(str(done).encode()))

    def fill_with(
        self, wanted: Sequence[tuple[Photo, int]], maker: Callable[[], Maker]
    ) -> tuple[Any, dict[tuple[str, int], int]]:
        """(array[rows, …], row of each (key, view)); computes what is not there.

        `maker` is only called where something is. Goes on where a run stopped.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        pairs, done = self._stored()
        asked = [(photo.key, view) for photo, view in wanted]
        if (done < len(pairs) and pairs != asked) or not set(asked) <= set(pairs):
            pairs, done = asked, 0
        if done < len(pairs):
            self._compute(wanted, done, maker())
        array = np.load(self._folder / "maps.npy", mmap_mode="r")
        return array, {pair: row for row, pair in enumerate(pairs)}

    def _compute(self, wanted: Sequence[tuple[Photo, int]], done: int, maker: Maker) -> None:
        from tqdm import tqdm

        path = self._folder / "maps.npy"
        if done == 0:
            # Before the arrays are made anew: a run that is cut off here has none of them.
            self._note(0)
            shape = (len(wanted), *maker.shape)
            np.lib.format.open_memmap(path, "w+", maker.dtype, shape).flush()
            keys = np.array([photo.key for photo, _ in wanted])
            views = np.array([view for _, view in wanted])
            write_whole(
                self._folder / "rows.npz",
                lambda file: np.savez(file, keys=keys, views=views, encoder=self._tag),
            )
        rows = np.lib.format.open_memmap(path, "r+")
        last, image = "", Image.new("RGB", (1, 1))
        for row in tqdm(range(done, len(wanted)), unit="view", mininterval=20):
            photo, view = wanted[row]
            if photo.key != last:
                last, image = photo.key, open_photo(photo)
            rows[row] = maker.make(caption_view(image, photo.key, view))
            if row % 1000 == 999 or row + 1 == len(wanted):
                rows.flush()
                self._note(row + 1)


class MapCache(ViewCache):
    """Maps of (photo, view) pairs of one encoder file."""

    def __init__(self, folder: Path, encoder: Path) -> None:
        super().__init__(folder, hashlib.sha256(encoder.read_bytes()).hexdigest()[:16])
        self._encoder = encoder

    def fill(
        self, wanted: Sequence[tuple[Photo, int]], reference: bool = False
    ) -> tuple[I8, dict[tuple[str, int], int]]:
        """(maps int8[rows, P, C], row of each (key, view)).

        Without `reference` by XNNPACK, 10 times faster.
        """

        def maker() -> Maker:
            reader = MapReader(self._encoder, reference)
            shape = (reader.tap.positions, reader.tap.channels)
            return Maker(shape, np.int8, lambda image: reader(squash(image, STUDENT_SIDE)))

        return self.fill_with(wanted, maker)

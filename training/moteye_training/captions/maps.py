"""Maps of many photos, computed once and kept: the decoder's training reads only these.

A folder holds `maps.npy` int8[rows, P, C], `rows.npz` (photo key, view, the encoder's hash) and
`done`, how many rows are computed; another encoder makes them anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

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


class MapCache:
    """Maps of (photo, view) pairs of one encoder, in a folder that is filled once."""

    def __init__(self, folder: Path, encoder: Path) -> None:
        self._folder = folder
        self._encoder = encoder
        self._tag = hashlib.sha256(encoder.read_bytes()).hexdigest()[:16]

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

    def fill(
        self, wanted: Sequence[tuple[Photo, int]], reference: bool = False
    ) -> tuple[I8, dict[tuple[str, int], int]]:
        """(maps int8[rows, P, C], row of each (key, view)); computes what is not there.

        Without `reference` by XNNPACK, 10 times faster. Goes on where a run stopped.
        """
        from tqdm import tqdm

        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / "maps.npy"
        pairs, done = self._stored()
        asked = [(photo.key, view) for photo, view in wanted]
        if (done < len(pairs) and pairs != asked) or not set(asked) <= set(pairs):
            pairs, done = asked, 0
        if done < len(pairs):
            reader = MapReader(self._encoder, reference)
            shape = (len(wanted), reader.tap.positions, reader.tap.channels)
            if done == 0:
                # Before the maps are made anew: a run that is cut off here has none of them.
                self._note(0)
                np.lib.format.open_memmap(path, "w+", np.int8, shape).flush()
                keys, views = (np.array(column) for column in zip(*asked, strict=True))
                write_whole(
                    self._folder / "rows.npz",
                    lambda file: np.savez(file, keys=keys, views=views, encoder=self._tag),
                )
            maps = np.lib.format.open_memmap(path, "r+")
            last, image = "", Image.new("RGB", (1, 1))
            rows = tqdm(range(done, len(wanted)), unit="view", mininterval=20)
            for row in rows:
                photo, view = wanted[row]
                if photo.key != last:
                    last, image = photo.key, open_photo(photo)
                maps[row] = reader(squash(caption_view(image, photo.key, view), STUDENT_SIDE))
                if row % 1000 == 999 or row + 1 == len(wanted):
                    maps.flush()
                    self._note(row + 1)
        return np.load(path, mmap_mode="r"), {pair: row for row, pair in enumerate(pairs)}

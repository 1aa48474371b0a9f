"""Each step another part of a photo, in other light, towards the target of the whole one.

Pictures are kept at more pixels than the student sees. A part of at least LEAST_AREA has nearly
the teacher's embedding of the whole (mean cosine .96 from three quarters of the area on, .89 from
a half on), so that views without number cost no further look of the teacher. B = batch, S = side.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .augment import squash
from .cache import open_memmap, rows_to_do, run_parts
from .data import Photo
from .text import F32
from .towers import Group, render

LEAST_AREA = 0.6
WHOLE = 0.3
"""Share of pictures that stay whole: that is what the device sees."""
STILL_THERE = 0.85
"""From this share of the area on, what is known to be on the photo counts as on the part."""
GREY = (0.299, 0.587, 0.114)


def larger_pixels(
    folder: Path, group: Group, photos: Sequence[Photo], side: int, workers: int
) -> Any:
    """uint8[N, side, side, 3]: the group's views at more pixels, computed once."""
    pixels, done = _open(folder, group, side)
    run_parts(_fill, (folder, group, photos, side), done, workers, f"{group.name} at {side} pixels")
    return pixels


def _open(folder: Path, group: Group, side: int) -> tuple[Any, Any]:
    count, stem = len(group.rows), f"{folder}/{group.name}.{side}"
    return (
        open_memmap(Path(f"{stem}.px.u8"), np.uint8, (count, side, side, 3)),
        open_memmap(Path(f"{stem}.done.u8"), np.uint8, (count,)),
    )


def _fill(
    folder: Path, group: Group, photos: Sequence[Photo], side: int, part: int, of: int
) -> None:
    """Worker: rows part, part + of, ... that are not done yet."""
    pixels, done = _open(folder, group, side)
    for row in rows_to_do(done, part, of):
        index, view = group.rows[row]
        pixels[row] = squash(render(photos[index], view), side)


def parts(rng: np.random.Generator, count: int) -> tuple[F32, F32]:
    """Left, upper, right, lower edge of each part in shares [B, 4], and its area's share [B]."""
    whole = rng.random(count) < WHOLE
    area = np.where(whole, 1.0, rng.uniform(LEAST_AREA, 1.0, count))
    stretch = np.where(whole, 1.0, np.exp(rng.uniform(-1, 1, count) * np.log(4 / 3) / 2))
    width, height = np.minimum(1, area**0.5 * stretch), np.minimum(1, area**0.5 / stretch)
    left, upper = rng.random(count) * (1 - width), rng.random(count) * (1 - height)
    edges = np.stack([left, upper, left + width, upper + height], 1)
    return edges.astype(np.float32), (width * height).astype(np.float32)


def shares(low: F32, high: F32, source: int, side: int) -> Tensor:
    """float32[B, side, source]: how much each source pixel counts in each pixel of low..high.

    By area, as the device shrinks its frames; low and high are float32[B], shares of the source.
    """
    low, high = low[:, None] * source, high[:, None] * source
    edges = low + (high - low) * (np.arange(side + 1, dtype=np.float32) / side)
    at = np.arange(source, dtype=np.float32)
    covered = np.minimum(edges[:, 1:, None], at + 1) - np.maximum(edges[:, :-1, None], at)
    covered = covered.clip(min=0)
    return torch.from_numpy(np.float32(covered / covered.sum(2, keepdims=True)))


def zoom(x: Tensor, rng: np.random.Generator, side: int) -> tuple[Tensor, NDArray[np.bool_]]:
    """A part of each picture of x [B, 3, S, S], [B, 3, side, side]; whether all is still there."""
    edges, area = parts(rng, len(x))
    across = shares(edges[:, 0], edges[:, 2], x.shape[3], side).to(x.device)
    down = shares(edges[:, 1], edges[:, 3], x.shape[2], side).to(x.device)
    return down[:, None] @ x @ across[:, None].transpose(2, 3), area >= STILL_THERE


def other_light(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Half of the pictures [B, 3, S, S] brighter or darker, with more or less contrast, colour.

    One in sixteen is grey, as night cameras give.
    """
    count = len(x)

    def drawn(low: float, high: float, share: float) -> Tensor:
        some = np.where(rng.random(count) < share, rng.uniform(low, high, count), 1.0)
        return torch.from_numpy(some.astype(np.float32))[:, None, None, None].to(x.device)

    grey = (x * x.new_tensor(GREY)[None, :, None, None]).sum(1, keepdim=True)
    colour = drawn(0.5, 1.5, 0.5)
    colour[torch.from_numpy(rng.random(count) < 1 / 16).to(x.device)] = 0
    x = grey + (x - grey) * colour
    mean = x.mean((1, 2, 3), keepdim=True)
    x = mean + (x - mean) * drawn(0.7, 1.3, 0.5)
    return ((x + 1) * drawn(0.7, 1.3, 0.5) - 1).clamp(-1, 127 / 128)

"""Stage 1: OverMod learns ImageNet's classes, OverNet's own head beside it.

A picture's target is its label (ImageNet), the mean of the teacher's two towers, or half of each.
B = batch, S = pixels a side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ...augment import make_view, squash, view_rng
from ...data import Photo, is_validation, open_photo
from ...rows import jitter, to_input
from ..run import Options, Run
from .encoder import OverMod
from .sizes import CLASSES

AUXILIARY_WEIGHT = 0.4
"""Of OverNet's head, as OverLoCK has it."""
LABEL_SHARE = 0.5
SMOOTHING = 0.1
U8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Taught:
    """N pictures: photos, class or -1 [N], the towers' distribution [N, 1000] (zeros: none).

    `pixels` uint8[N, S, S, 3] where they were cached; else pictures are read and cropped anew.
    """

    photos: Sequence[Photo]
    label: NDArray[np.int64]
    soft: NDArray[np.float16]
    side: int
    pixels: U8 | None = None

    def target(self, chosen: NDArray[np.int64]) -> Tensor:
        """float[B, 1000], rows of sum 1. Raises ValueError for a picture without any target."""
        soft = torch.from_numpy(np.asarray(self.soft[chosen], np.float32))
        label = torch.from_numpy(self.label[chosen])
        hard = F.one_hot(label.clamp(min=0), CLASSES).float() * (label >= 0)[:, None]
        known = soft.sum(1, keepdim=True) > 0
        share = torch.where(known, torch.where(label[:, None] >= 0, LABEL_SHARE, 0.0), 1.0)
        target = share * hard + (1 - share) * soft
        total = target.sum(1, keepdim=True)
        if bool((total < 0.5).any()):
            at = int(chosen[int(total.argmin())])
            raise ValueError(f"{self.photos[at].key}: neither label nor teacher's distribution")
        return target / total

    def load(self, chosen: NDArray[np.int64], step: int, pool: ThreadPoolExecutor) -> U8:
        """uint8[B, S, S, 3]: cached pictures, or crops that depend on `step` alone (-1: whole)."""
        if self.pixels is not None:
            return np.stack([self.pixels[at] for at in chosen])

        def one(at: int) -> U8:
            photo = self.photos[at]
            return squash(make_view(open_photo(photo), photo.key, 1 + step), self.side)

        return np.stack(list(pool.map(one, chosen.tolist())))


def class_loss(model: OverMod, x: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of both heads with distributions target float[B, 1000]."""
    logits, early = model(x)
    loss = F.cross_entropy(logits, target, label_smoothing=SMOOTHING)
    if early is not None:
        loss = loss + AUXILIARY_WEIGHT * F.cross_entropy(early, target, label_smoothing=SMOOTHING)
    return loss


class ClassHoldOut:
    """Pictures kept from training: agreement with the target's likeliest class."""

    def __init__(self, taught: Taught, limit: int = 1024) -> None:
        kept = [at for at, photo in enumerate(taught.photos) if is_validation(photo)][:limit]
        self._chosen = np.array(kept, np.int64)
        self._taught = taught

    @torch.no_grad()
    def __call__(self, model: OverMod) -> dict[str, float]:
        """`top1` and `top5` in percent, of ModNet's head and (`over1`) OverNet's."""
        device = next(model.parameters()).device
        right = {"top1": 0, "top5": 0, "over1": 0}
        with ThreadPoolExecutor(4) as pool:
            for part in np.array_split(self._chosen, max(1, len(self._chosen) // 128)):
                wanted = self._taught.target(part).argmax(1).to(device)
                logits, early = model(to_input(self._taught.load(part, -1, pool), device))
                five = logits.topk(5, 1).indices == wanted[:, None]
                right["top1"] += int(five[:, 0].sum())
                right["top5"] += int(five.sum())
                if early is not None:
                    right["over1"] += int((early.argmax(1) == wanted).sum())
        return {name: 100 * n / len(self._chosen) for name, n in right.items()}


def teach_classes(
    model: OverMod, taught: Taught, options: Options, folder: Path, minutes: float = 0,
    hold_out: Callable[[OverMod], dict[str, float]] | None = None,
) -> OverMod:  # fmt: skip
    """Train on `taught` less the hold-out; returns the averaged model. `minutes` 0: no limit."""
    torch.manual_seed(options.seed)
    run = Run(model, options, folder)
    model.train()
    device = next(model.parameters()).device
    learnt = np.array([at for at, p in enumerate(taught.photos) if not is_validation(p)], np.int64)
    measure = hold_out or ClassHoldOut(taught)
    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        while run.step < options.steps:
            rng = view_rng(f"classes {options.seed}", run.step)
            chosen = rng.choice(learnt, options.batch)
            x = jitter(to_input(taught.load(chosen, run.step, pool), device), rng)
            loss = class_loss(model, x, taught.target(chosen).to(device))
            if run.learn(loss, measure, started, minutes):
                break
    average: OverMod = run.average  # type: ignore[assignment]
    return average

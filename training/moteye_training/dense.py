"""The dense head: for each of 6x6 cells a vector to compare with phrases, and a box.

A cell gives 69 values: v[64] in the space of the first 64 dimensions, o, and the distances from its
middle to the left, upper, right and lower edge in shares of the picture. For a phrase whose
prototype's first 64 dimensions are p, the log-odds of a thing of it there are v . p/|p| + o.
B = batch, K = names.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .dense_measure import DIM, middles
from .dense_rows import Cells, Named, Vocabulary
from .distil import progress, rate_factor, save_checkpoint
from .student import ConvBn
from .text import F32

SIDE = 6
VALUES = DIM + 5
WIDTH = 112
PRIOR = -4.5
"""Log-odds that the head starts with."""
REACH = 7.9
"""Largest |v|, |o|: what int8 at 1/16 carries."""


class DenseHead(nn.Module):
    """near [B, C1, 6, 6], far [B, C2, 3, 3] -> [B, 69, 6, 6]."""

    def __init__(self, near: int, far: int) -> None:
        super().__init__()
        self.near = ConvBn(near, WIDTH, relu6=False)
        self.far = ConvBn(far, WIDTH, relu6=False)
        self.around = ConvBn(WIDTH, WIDTH, 3, groups=WIDTH)
        self.mixed = ConvBn(WIDTH, WIDTH)
        self.wider = ConvBn(WIDTH, WIDTH, 3, groups=WIDTH)
        self.out = nn.Conv2d(WIDTH, VALUES, 1)
        nn.init.normal_(self.out.weight, std=0.03)
        with torch.no_grad():
            assert self.out.bias is not None
            self.out.bias.zero_()
            self.out.bias[DIM] = PRIOR
            self.out.bias[DIM + 1 :] = 0.2

    def forward(self, near: Tensor, far: Tensor) -> Tensor:
        """The cells' values."""
        wide = F.interpolate(self.far(far), scale_factor=2.0, mode="nearest")
        y = self.around(F.relu6(self.near(near) + wide))
        y = self.out(self.wider(self.mixed(y)))
        return torch.as_tensor(y)


@dataclass(frozen=True)
class Truth:
    """Of each view and cell: class bool[N, 36, K], counts bool[N, 36, K], edges float[N, 36, 4].

    `counts` is where a class is known to be or not; edges are NaN in cells without a box.
    """

    classes: NDArray[np.bool_]
    counts: NDArray[np.bool_]
    edges: F32


def assign(boxes: list[Named], vocabulary: Vocabulary, known: NDArray[np.bool_]) -> Truth:
    """Give each box the cells around its middle: at least the one that holds it.

    Where boxes meet in a cell the smaller has it, and the larger's class does not count there; nor
    does a class count elsewhere in the inner part of its box.
    """
    count, names, middle = len(boxes), len(vocabulary.names), middles(SIDE)
    classes = np.zeros((count, SIDE * SIDE, names), np.bool_)
    counts = np.repeat(known[:, None], SIDE * SIDE, axis=1)
    edges = np.full((count, SIDE * SIDE, 4), np.nan, np.float32)
    for row, some in enumerate(boxes):
        for name, x0, y0, x1, y1 in sorted(some, key=lambda b: -(b[3] - b[1]) * (b[4] - b[2])):
            columns = vocabulary.columns(name)
            size = np.array([x1 - x0, y1 - y0])
            off = np.abs(middle - np.array([x0 + x1, y0 + y1]) / 2)
            own = (off <= np.maximum(0.2 * size, 0.5 / SIDE)).all(1)
            inner = (off <= 0.4 * size).all(1) & ~own
            counts[row][np.ix_(inner, columns)] &= classes[row][np.ix_(inner, columns)]
            # What a larger box had said of these cells no longer counts.
            counts[row][own] &= ~classes[row][own]
            classes[row][own] = False
            classes[row][np.ix_(own, columns)] = True
            counts[row][np.ix_(own, columns)] = True
            edges[row][own] = (x0, y0, x1, y1)
    return Truth(classes, counts, edges)


def cell_logits(values: Tensor, names: Tensor) -> Tensor:
    """[B, 36, K]: log-odds of names [K, 64] of length 1 in cells of values [B, 36, 69]."""
    return values[..., :DIM].clamp(-REACH, REACH) @ names.T + values[..., DIM : DIM + 1].clamp(
        -REACH, REACH
    )


def cell_edges(values: Tensor) -> Tensor:
    """[B, 36, 4]: edges in shares of the picture; distances below 0 still learn."""
    away = values[..., DIM + 1 :]
    middle = torch.from_numpy(middles(SIDE)).to(values.device)
    return torch.cat([middle - away[..., :2], middle + away[..., 2:]], -1)


def edges_loss(given: Tensor, wanted: Tensor) -> Tensor:
    """Mean of 1 - GIoU and a share of the distance of edges [N, 4]."""
    low, high = (
        torch.maximum(given[:, :2], wanted[:, :2]),
        torch.minimum(given[:, 2:], wanted[:, 2:]),
    )
    shared = (high - low).clamp(min=0).prod(1)
    area = (given[:, 2:] - given[:, :2]).clamp(min=0).prod(1)
    union = area + (wanted[:, 2:] - wanted[:, :2]).prod(1) - shared
    around = (
        torch.maximum(given[:, 2:], wanted[:, 2:]) - torch.minimum(given[:, :2], wanted[:, :2])
    ).prod(1)
    giou = shared / union.clamp(min=1e-6) - (around - union) / around.clamp(min=1e-6)
    return (1 - giou).mean() + 2 * (given - wanted).abs().mean()


@dataclass(frozen=True)
class DenseOptions:
    """Settings of one run."""

    minutes: float = 10
    steps: int = 0
    """Ends after so many steps instead, so that a run can be made again."""
    batch: int = 128
    rate: float = 4e-3
    weight_decay: float = 0.02
    unrelated: int = 96
    """Words drawn for each batch of which no cell may be sure."""
    unrelated_weight: float = 0.05
    seed: int = 3


def class_loss(logits: Tensor, classes: Tensor, counts: Tensor) -> Tensor:
    """Sum of the binary cross-entropy where it counts."""
    each = F.binary_cross_entropy_with_logits(logits, classes.float(), reduction="none")
    return (each * counts).sum()


def train_dense(
    cells: Cells,
    truth: Truth,
    weight: NDArray[np.float64],
    names: F32,
    words: F32,
    options: DenseOptions,
    folder: Path,
    check: Callable[[DenseHead], dict[str, float]],
) -> DenseHead:
    """Train on the cached features; `names` [K, 64] and `words` [W, 64] have length 1.

    `weight` [N] is how often a view is drawn (0: never). Resumes from the folder's checkpoint.
    """
    torch.manual_seed(options.seed)
    head = DenseHead(cells.near.shape[3], cells.far.shape[3])
    optimiser = torch.optim.AdamW(
        head.parameters(), options.rate, weight_decay=options.weight_decay
    )
    path, spent, step = folder / "dense-checkpoint.pt", 0.0, 0
    if path.exists():
        stored = torch.load(path, weights_only=True)
        head.load_state_dict(stored["head"])
        optimiser.load_state_dict(stored["optimiser"])
        spent, step = stored["spent"], stored["step"]
        print(f"dense: resumed at step {step}, {spent:.0f} s", flush=True)
    rng = np.random.default_rng(options.seed + step)
    probability = weight / weight.sum()
    every_s = 60.0 if options.steps else min(60.0, options.minutes * 60 / 4)
    known, unrelated = torch.from_numpy(names), torch.from_numpy(words)
    # A word that means what a name means is no unrelated one there.
    alike = unrelated @ known.T > 0.45
    started, last = time.monotonic() - spent, spent
    while (done := progress(options, step, now := time.monotonic() - started)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = options.rate * rate_factor(done)
        rows = rng.choice(len(weight), options.batch, p=probability)
        values = head(*inputs(cells, rows)).flatten(2).transpose(1, 2).float()
        wanted = torch.from_numpy(truth.classes[rows])
        positives = wanted.any(-1).sum().clamp(min=1)
        loss_class = (
            class_loss(cell_logits(values, known), wanted, torch.from_numpy(truth.counts[rows]))
            / positives
        )
        drawn = torch.from_numpy(rng.choice(len(words), options.unrelated, replace=False))
        free = (wanted.float() @ alike[drawn].T.float()) == 0
        loss_word = (
            class_loss(cell_logits(values, unrelated[drawn]), torch.zeros_like(free), free)
            / positives
        )
        edges = torch.from_numpy(truth.edges[rows])
        boxed = ~torch.isnan(edges[..., 0])
        loss_edges = edges_loss(cell_edges(values)[boxed], edges[boxed])
        loss = loss_class + options.unrelated_weight * loss_word + 4 * loss_edges
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(head.parameters(), 5.0)
        optimiser.step()
        step += 1
        if now - last > every_s:
            last = now
            note = " ".join(f"{n} {v:.3f}" for n, v in check(head).items())
            print(
                f"dense: {now:.0f} s step {step} {note} | class {loss_class.item():.3f} "
                f"words {loss_word.item():.3f} edges {loss_edges.item():.3f}", flush=True,
            )  # fmt: skip
            save_checkpoint(
                path, head=head.state_dict(), optimiser=optimiser.state_dict(), spent=now, step=step
            )
    save_checkpoint(folder / "dense.pt", head=head.state_dict())
    print("dense: done, " + " ".join(f"{n} {v:.3f}" for n, v in check(head).items()), flush=True)
    return head.eval()


def inputs(cells: Cells, rows: Any) -> tuple[Tensor, Tensor]:
    """Features of the rows as the head takes them, float[B, C, S, S]."""
    pair = []
    for stored, (scale, zero) in zip((cells.near, cells.far), cells.steps, strict=True):
        x = torch.from_numpy(np.ascontiguousarray(stored[rows])).permute(0, 3, 1, 2).float()
        pair.append((x - zero) * scale)
    return pair[0], pair[1]


@torch.no_grad()
def dense_values(head: DenseHead, cells: Cells, rows: NDArray[np.int64]) -> F32:
    """float32[N, 36, 69] of the rows, in evaluation mode."""
    training = head.training
    head.eval()
    parts = [
        head(*inputs(cells, rows[at : at + 256])).flatten(2).transpose(1, 2).numpy()
        for at in range(0, len(rows), 256)
    ]
    head.train(training)
    return np.concatenate(parts).astype(np.float32)


def load_dense(path: Path, cells: Cells) -> DenseHead:
    """The head in `dense.pt`."""
    head = DenseHead(cells.near.shape[3], cells.far.shape[3])
    head.load_state_dict(torch.load(path, weights_only=True)["head"])
    return head.eval()

"""Training of the teacher's alignment head on cached features of the frozen towers.

B = batch, N = rows, K = names. Loss, all cosines over a temperature:
  symmetric InfoNCE between picture and one of its texts, texts alike (cosine > .93) shared;
  KL of the towers' ImageNet distribution from softmax over picture x class names, on every row;
  presence of the COCO names where boxes are complete or a detector has looked.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .data import Photo
from .imagenet import class_probabilities, class_vectors
from .teacher import standardise
from .teachers import Teacher
from .text import F32, TextCache
from .towers import BOX_VIEW, Group, Layout
from .truth import COCO_NAMES, TextBank, training_mask

SOFT_POSITIVE = 0.93


@dataclass(frozen=True)
class AlignOptions:
    """Settings of one run of the head's training."""

    epochs: float = 20
    batch: int = 512
    rate: float = 1e-3
    hidden: int = 1024
    dropout: float = 0.3
    class_weight: float = 0.5
    presence_weight: float = 0.5
    conse_gain: float = 2.0
    """The ConSE path counts this much more than it was trained to: names that were never taught
    gain more than taught ones lose (chosen on the hold-out, see RESULTS.md)."""
    seed: int = 1


class AlignHead(nn.Module):
    """standardised features [B, width], ConSE vector [B, 384] -> embedding [B, 384], length 1."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.wide = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, 384)
        self.conse = nn.Linear(384, 384, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(3.0))
        self.presence_scale = nn.Parameter(torch.tensor(2.5))
        self.presence_bias = nn.Parameter(torch.full((len(COCO_NAMES),), -4.0))
        nn.init.eye_(self.conse.weight)

    def forward(self, x: Tensor, conse: Tensor) -> Tensor:
        """Embeddings of a batch."""
        hidden = self.drop(F.gelu(self.wide(self.drop(x)), approximate="tanh"))
        return F.normalize(self.narrow(hidden) + self.conse(conse), dim=1)


@dataclass
class AlignRows:
    """Everything the head trains on, one entry a row (a view of a photo)."""

    features: Tensor
    conse: Tensor
    classes: Tensor
    photo: NDArray[np.int64]
    box_text: NDArray[np.int64]
    mean: F32
    std: F32


def gather_rows(
    groups: Sequence[tuple[Group, Any]], keep: NDArray[np.bool_], names: F32, layout: Layout
) -> AlignRows:
    """Rows of the finished groups whose photo is kept; `groups` pairs each with its features."""
    features, photo, view = [], [], []
    for group, stored in groups:
        index = np.array([p for p, _ in group.rows])
        chosen = np.flatnonzero(keep[index])
        features.append(np.asarray(stored[chosen]))
        photo.append(index[chosen])
        view.append(np.array([v for _, v in group.rows])[chosen])
    rows = np.concatenate(features)
    zero, one = np.zeros(layout.width, np.float32), np.ones(layout.width, np.float32)
    sample = standardise(rows[::7], zero, one, layout)
    mean, std = sample.mean(0), sample.std(0) + 1e-5
    parts = [
        (standardise(r, mean, std, layout).astype(np.float16), class_probabilities(r, layout))
        for r in np.array_split(rows, max(1, len(rows) // 4096))
    ]
    classes = np.concatenate([p for _, p in parts])
    conse = classes @ names
    conse /= np.linalg.norm(conse, axis=1, keepdims=True)
    views = np.concatenate(view)
    return AlignRows(
        torch.from_numpy(np.concatenate([x for x, _ in parts])),
        torch.from_numpy(conse),
        torch.from_numpy(classes.astype(np.float16)),
        np.concatenate(photo),
        np.where(views >= BOX_VIEW, views - BOX_VIEW, -1),
        mean,
        std,
    )


def choose_texts(
    rows: AlignRows,
    batch: NDArray[np.int64],
    bank: TextBank,
    box_texts: dict[tuple[int, int], int],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """One text's row in the bank for each row of the batch, -1 where nothing is known."""
    chosen = np.full(len(batch), -1, np.int64)
    for at, row in enumerate(batch):
        photo, box = int(rows.photo[row]), int(rows.box_text[row])
        if box >= 0:
            chosen[at] = box_texts[photo, box]
        elif len(bank.of_photo[photo]):
            chosen[at] = rng.choice(bank.of_photo[photo])
    return chosen


def contrast(picture: Tensor, text: Tensor, scale: Tensor) -> Tensor:
    """Symmetric InfoNCE of picture [B, D] and text [B, D]; alike texts share the positive."""
    alike = ((text @ text.T) > SOFT_POSITIVE).float()
    target = alike / alike.sum(1, keepdim=True)
    logits = picture @ text.T * scale
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def presence_loss(head: AlignHead, picture: Tensor, names: Tensor, known: Tensor) -> Tensor:
    """Binary cross-entropy of the known entries of known int8[B, K]."""
    logits = picture @ names.T * head.presence_scale.exp() + head.presence_bias
    mask = (known >= 0).float()
    each = F.binary_cross_entropy_with_logits(logits, known.clamp(min=0).float(), reduction="none")
    return (each * mask).sum() / mask.sum().clamp(min=1) * 5


def train_head(
    photos: Sequence[Photo],
    groups: Sequence[tuple[Group, Any]],
    bank: TextBank,
    box_texts: dict[tuple[int, int], int],
    known_presence: NDArray[np.int8],
    cache: TextCache,
    teacher: Teacher,
    options: AlignOptions,
    device: torch.device,
) -> dict[str, NDArray[Any]]:
    """Train the head; returns the arrays of `alignment.npz` (float16)."""
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    names = class_vectors(teacher.models, cache)
    rows = gather_rows(groups, training_mask(photos), names, teacher.layout)
    known = torch.from_numpy(known_presence)
    # A crop shows only a part: what the whole photo holds is not known of it.
    whole = torch.from_numpy(rows.box_text < 0)
    name_t = torch.from_numpy(names).to(device)
    coco_t = torch.from_numpy(cache.get(COCO_NAMES, prompted=True)).to(device)
    vectors = torch.from_numpy(bank.vectors).to(device)
    head = AlignHead(teacher.layout.width, options.hidden, options.dropout).to(device)
    optimiser = torch.optim.AdamW(head.parameters(), options.rate, weight_decay=0.05)
    # An epoch is as many rows as there are photos, whatever the number of views.
    per_epoch = int(training_mask(photos).sum()) + len(box_texts)
    steps = int(options.epochs * per_epoch / options.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, options.rate, steps + 1, pct_start=0.05
    )
    started = time.monotonic()
    for step in range(steps):
        batch = rng.choice(len(rows.photo), options.batch, replace=False)
        texts = choose_texts(rows, batch, bank, box_texts, rng)
        at = torch.from_numpy(batch)
        picture = head(rows.features[at].float().to(device), rows.conse[at].to(device))
        has = torch.from_numpy(texts >= 0)
        text = vectors[torch.from_numpy(texts[texts >= 0]).to(device)]
        scale = head.log_scale.exp().clamp(max=100)
        loss = contrast(picture[has.to(device)], text, scale)
        log_names = F.log_softmax(picture @ name_t.T * scale, dim=1)
        classes = rows.classes[at].float().to(device)
        loss = loss + options.class_weight * F.kl_div(log_names, classes, reduction="batchmean")
        table = known[torch.from_numpy(rows.photo[batch])].clone()
        table[~whole[at]] = -1
        presence = presence_loss(head, picture, coco_t, table.to(device))
        loss = loss + options.presence_weight * presence
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            seconds = time.monotonic() - started
            print(f"align: step {step}/{steps} loss {loss.item():.3f} {seconds:.0f} s", flush=True)
    weights = {
        "mean": rows.mean,
        "std": rows.std,
        "w1": head.wide.weight.detach().cpu().numpy().T,
        "b1": head.wide.bias.detach().cpu().numpy(),
        "w2": head.narrow.weight.detach().cpu().numpy().T,
        "b2": head.narrow.bias.detach().cpu().numpy(),
        "conse": head.conse.weight.detach().cpu().numpy().T * options.conse_gain,
        "names": names,
    }
    return {name: value.astype(np.float16) for name, value in weights.items()}

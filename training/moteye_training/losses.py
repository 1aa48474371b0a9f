"""Losses of the distillation. B = batch, D = 256, K = names; targets and texts have length 1."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from .align import SOFT_POSITIVE
from .space import DIMS

SLICE_WEIGHTS = dict(zip(DIMS, (1.0, 0.75, 1.5, 1.0, 2.0), strict=True))
"""How much each prefix counts: the whole embedding most, then the 64 that a device takes first."""


def slices(x: Tensor) -> dict[int, Tensor]:
    """Each prefix of x [B, D], normalised on its own."""
    return {dim: F.normalize(x[:, :dim], dim=1) for dim in DIMS}


def cosine_loss(student: dict[int, Tensor], target: dict[int, Tensor]) -> Tensor:
    """Mean over the prefixes of 1 - cos(student, target)."""
    total = sum(SLICE_WEIGHTS.values())
    terms = [
        weight * (1 - (student[d] * target[d]).sum(1)).mean() for d, weight in SLICE_WEIGHTS.items()
    ]
    return torch.stack(terms).sum() / total


def relational_loss(student: Tensor, target: Tensor, temperature: float = 0.1) -> Tensor:
    """KL of in-batch similarities: which other pictures a picture is like, as the teacher sees."""
    own = torch.eye(len(target), dtype=torch.bool, device=target.device)
    wanted = (target @ target.T / temperature).masked_fill(own, -1e4).softmax(1)
    given = (student @ student.T / temperature).masked_fill(own, -1e4).log_softmax(1)
    return F.kl_div(given, wanted, reduction="batchmean")


def text_relational_loss(student: Tensor, target: Tensor, names: Tensor, scale: float) -> Tensor:
    """KL of the student's softmax over many names [K, d] from the teacher's own."""
    wanted = (target @ names.T * scale).softmax(1)
    return F.kl_div((student @ names.T * scale).log_softmax(1), wanted, reduction="batchmean")


def text_contrast(picture: Tensor, text: Tensor, alike: Tensor, scale: float) -> Tensor:
    """Symmetric InfoNCE of picture and text [B, d]; `alike` [B, B] marks same texts."""
    target = alike / alike.sum(1, keepdim=True)
    logits = picture @ text.T * scale
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def alike_texts(text: Tensor) -> Tensor:
    """float[B, B], 1 where two texts' original embeddings [B, 384] are nearly the same."""
    return ((text @ text.T) > SOFT_POSITIVE).float()

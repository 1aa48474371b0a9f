"""Training that meets the rounding of the int8 file: a student's walk with imitated int8.

Weights are rounded per output channel, each activation on the scale of its calibrated range;
gradients go straight through the rounding. BN is folded and keeps the statistics that it has.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .export import Ranges, calibrate
from .steps import Folded
from .student import ConvBn, Encoded, Student, shrink


def rounded_weight(weight: Tensor) -> Tensor:
    """Weight [C_out, ...] on its int8 steps, symmetric per output channel."""
    scale = weight.detach().flatten(1).abs().amax(1).clamp(min=1e-8) / 127
    zero = torch.zeros(len(scale), dtype=torch.int32, device=weight.device)
    return torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -127, 127)


class Imitated(Folded):
    """The folded steps with rounded weights and activations."""

    def __init__(self, ranges: Ranges) -> None:
        self._ranges = ranges

    def _round(self, name: str, x: Tensor, symmetric: bool = False) -> Tensor:
        scale, zero = self._ranges.quantisation(name, symmetric)
        return torch.fake_quantize_per_tensor_affine(x, scale, zero, -128, 127)

    def conv(self, name: str, layer: ConvBn, x: Tensor) -> Tensor:
        """Convolution with rounded weights, its result rounded."""
        weight, bias = layer.folded()
        y = layer.convolve(x, rounded_weight(weight), bias)
        return self._round(name, F.relu6(y) if layer.relu6 else y)

    def add(self, name: str, x: Tensor, y: Tensor) -> Tensor:
        """Sum, rounded."""
        return self._round(name, x + y)

    def mean(self, name: str, x: Tensor) -> Tensor:
        """Mean, rounded."""
        return self._round(name, x.mean((2, 3)))

    def linear(self, name: str, layer: nn.Linear, x: Tensor) -> Tensor:
        """The embedding, rounded on steps around 0."""
        y = F.linear(x, rounded_weight(layer.weight), layer.bias)
        return self._round(name, y, symmetric=True)


class AsInt8(nn.Module):
    """A student as its int8 file would compute it: the same weights, and gradients for them."""

    def __init__(self, student: Student, pixels: NDArray[np.uint8]) -> None:
        super().__init__()
        self.student, self._steps = student, Imitated(calibrate(student, pixels))

    def forward(self, x: Tensor) -> Encoded:
        """As the student's, in int8 steps."""
        embedding, cells = self.student.walk(self._steps, shrink(x, self.student.side))
        classes = self.student.classifier(cells.mean((2, 3)))
        return Encoded(embedding, classes)

"""Student -> int8 `.tflite`: BN folded, ranges calibrated, symmetric embedding output.

The graph is written operator by operator: int8 in (scale 1/128, zero point 0: the pixel minus
128), int8 out (zero point 0), and CONV_2D, DEPTHWISE_CONV_2D, ADD, MEAN, FULLY_CONNECTED between.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from . import tflite_writer as tw
from .distil import embed
from .encoder import Encoder
from .rows import to_input
from .steps import Folded
from .student import ConvBn, Student, shrink
from .text import F32, normalise
from .tflite_writer import GraphWriter, Tensor


@dataclass
class Ranges:
    """Lowest and highest value seen of each named activation, averaged over batches.

    The mean of batches' extremes, not the extreme of all: one odd photo must not widen a scale.
    """

    low: dict[str, list[float]] = field(default_factory=dict)
    high: dict[str, list[float]] = field(default_factory=dict)

    def see(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """Note x's range and hand x on."""
        self.low.setdefault(name, []).append(float(x.min()))
        self.high.setdefault(name, []).append(float(x.max()))
        return x

    def quantisation(self, name: str, symmetric: bool = False) -> tuple[float, int]:
        """Scale and zero point of a noted activation."""
        low, high = float(np.mean(self.low[name])), float(np.mean(self.high[name]))
        if symmetric:
            return max(abs(low), abs(high)) / 127, 0
        return tw.range_to_quantisation(low, high)


class Noting(Folded):
    """The folded steps, with what each gives noted."""

    def __init__(self, ranges: Ranges) -> None:
        self._ranges = ranges

    def conv(self, name: str, layer: ConvBn, x: torch.Tensor) -> torch.Tensor:
        """Convolution."""
        return self._ranges.see(name, super().conv(name, layer, x))

    def add(self, name: str, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Sum."""
        return self._ranges.see(name, super().add(name, x, y))

    def mean(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """Mean."""
        return self._ranges.see(name, super().mean(name, x))

    def linear(self, name: str, layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
        """The embedding."""
        return self._ranges.see(name, super().linear(name, layer, x))


@torch.no_grad()
def calibrate(student: Student, pixels: NDArray[np.uint8], batch: int = 32) -> Ranges:
    """Ranges of all activations over pixels uint8[N, S, S, 3]; what does not fill a batch is left.

    Raises ValueError for fewer pictures than a batch.
    """
    if len(pixels) < batch:
        raise ValueError(f"{len(pixels)} pictures to calibrate on: at least {batch} are needed")
    ranges = Ranges()
    for at in range(0, len(pixels) - batch + 1, batch):
        x = to_input(pixels[at : at + batch], student.head.weight.device)
        student.walk(Noting(ranges), shrink(x, student.side))
    return ranges


class Writing:
    """The steps as operators of a graph."""

    def __init__(self, graph: GraphWriter, ranges: Ranges, bias: F32) -> None:
        self._graph, self._ranges, self._bias = graph, ranges, bias

    def conv(self, name: str, layer: ConvBn, x: Tensor) -> Tensor:
        """One ConvBn as one operator."""
        return write_conv(self._graph, name, layer, x, self._ranges)

    def add(self, name: str, x: Tensor, y: Tensor) -> Tensor:
        """ADD."""
        return tw.add(self._graph, name, x, y, *self._ranges.quantisation(name))

    def pool(self, name: str, x: Tensor) -> Tensor:
        """MAX_POOL_2D."""
        return tw.max_pool(self._graph, name, x)

    def mean(self, name: str, x: Tensor) -> Tensor:
        """MEAN."""
        return tw.mean(self._graph, name, x, *self._ranges.quantisation(name))

    def linear(self, name: str, layer: nn.Linear, x: Tensor) -> Tensor:
        """FULLY_CONNECTED, symmetric, with the bias handed in."""
        scale, zero = self._ranges.quantisation(name, symmetric=True)
        weight = layer.weight.detach().numpy()
        return tw.fully_connected(self._graph, name, x, weight, self._bias, scale, zero)


def write_conv(graph: GraphWriter, name: str, layer: ConvBn, x: Tensor, ranges: Ranges) -> Tensor:
    """One ConvBn as one operator."""
    weight, bias = (t.detach().numpy() for t in layer.folded())
    # PyTorch: [C_out, C_in/groups, k, k]; TFLite: [C_out, k, k, C_in] or [1, k, k, C].
    order = (1, 2, 3, 0) if layer.depthwise else (0, 2, 3, 1)
    scale, zero = ranges.quantisation(name)
    return tw.conv(
        graph, name, x, np.ascontiguousarray(weight.transpose(order)), bias, layer.stride,
        layer.relu6, scale, zero,
    )  # fmt: skip


def write_graph(student: Student, ranges: Ranges, bias: F32) -> bytes:
    """The int8 graph, with `bias` float32[256] as the head's."""
    graph = GraphWriter()
    first = graph.activation("pixels", (1, student.side, student.side, 3), 1 / 128, 0)
    last, _ = student.walk(Writing(graph, ranges, bias), first)
    return graph.finish([first], [last])


def export_encoder(student: Student, pixels: NDArray[np.uint8], path: Path) -> None:
    """Write the student as int8 `.tflite`, calibrated on pixels uint8[N, S, S, 3].

    Rounding shifts the mean of each value a little; the head's bias takes that back.
    """
    student = student.eval().cpu()
    ranges = calibrate(student, pixels)
    bias = student.head.bias.detach().numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(write_graph(student, ranges, bias))
    scale, _ = ranges.quantisation("embedding", symmetric=True)
    floats = embed(student, pixels, torch.device("cpu"))
    shift = floats.mean(0) - Encoder(path).many(pixels).astype(np.float32).mean(0) * scale
    path.write_bytes(write_graph(student, ranges, (bias + shift).astype(np.float32)))


def compare(student: Student, encoder: Path, pixels: NDArray[np.uint8]) -> tuple[float, float]:
    """Mean and least cosine of the file's embeddings to the float student's."""
    floats: F32 = normalise(embed(student, pixels, torch.device("cpu")))
    integers = normalise(Encoder(encoder).many(pixels).astype(np.float32))
    cosine = (floats * integers).sum(1)
    return float(cosine.mean()), float(cosine.min())

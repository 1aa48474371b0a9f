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

from . import tflite_writer as tw
from .distil import embed
from .encoder import Encoder
from .rows import to_input
from .student import Block, ConvBn, Student, folded_forward, shrink
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


@torch.no_grad()
def calibrate(student: Student, pixels: NDArray[np.uint8], batch: int = 32) -> Ranges:
    """Ranges of all activations over pixels uint8[N, S, S, 3]."""
    ranges, device = Ranges(), torch.device("cpu")
    for at in range(0, len(pixels) - batch + 1, batch):
        x = shrink(to_input(pixels[at : at + batch], device), student.side)
        x = ranges.see("stem", folded_forward(student.stem, x))
        for number, block in enumerate(student.blocks):
            assert isinstance(block, Block)
            y = x
            for part, layer in (("expand", block.expand), ("depth", block.depth)):
                if layer is not None:
                    y = ranges.see(f"block{number}/{part}", folded_forward(layer, y))
            y = ranges.see(f"block{number}/project", folded_forward(block.project, y))
            x = ranges.see(f"block{number}/add", x + y) if block.residual else y
        x = ranges.see("wide", folded_forward(student.wide, x))
        x = ranges.see("mean", x.mean((2, 3)))
        ranges.see("embedding", student.head(x))
    return ranges


def write_conv(graph: GraphWriter, name: str, layer: ConvBn, x: Tensor, ranges: Ranges) -> Tensor:
    """One ConvBn as one operator."""
    weight, bias = (t.numpy() for t in layer.folded())
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
    x = write_conv(graph, "stem", student.stem, first, ranges)
    for number, block in enumerate(student.blocks):
        assert isinstance(block, Block)
        y = x
        for part, layer in (("expand", block.expand), ("depth", block.depth)):
            if layer is not None:
                y = write_conv(graph, f"block{number}/{part}", layer, y, ranges)
        y = write_conv(graph, f"block{number}/project", block.project, y, ranges)
        name = f"block{number}/add"
        x = tw.add(graph, name, x, y, *ranges.quantisation(name)) if block.residual else y
    x = write_conv(graph, "wide", student.wide, x, ranges)
    x = tw.mean(graph, "mean", x, *ranges.quantisation("mean"))
    weight = student.head.weight.detach().numpy()
    scale, zero = ranges.quantisation("embedding", symmetric=True)
    return graph.finish(
        [first], [tw.fully_connected(graph, "embedding", x, weight, bias, scale, zero)]
    )


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

"""The dense head in int8, behind the shipped encoder's graph.

The cells follow the embedding in one output. Both are int8 with zero point 0, and of one scale by
choice: of an embedding only the direction counts, and the last layer of the head is scaled so that
its integers are 16 v, 16 o and 128 times the distances (SPEC, "Boxes").
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from . import tflite_writer as tw
from .dense import DIM, DenseHead, inputs
from .dense_measure import EDGE_STEPS, LOGIT_STEPS
from .dense_rows import FAR, NEAR, Cells
from .steps import Folded
from .student import ConvBn
from .text import F32
from .tflite_writer import GraphWriter, Tensor

ADDED = "dense/"


def _range(x: torch.Tensor) -> tuple[float, int]:
    """Scale and zero point of values, without the few farthest out."""
    low, high = np.quantile(x.numpy(), [0.0002, 0.9998])
    return tw.range_to_quantisation(float(low), float(high))


def _conv(graph: GraphWriter, name: str, layer: ConvBn, x: Tensor, scale: Any) -> Tensor:
    weight, bias = (t.detach().numpy() for t in layer.folded())
    order = (1, 2, 3, 0) if layer.depthwise else (0, 2, 3, 1)
    weight = np.ascontiguousarray(weight.transpose(order))
    return tw.conv(graph, name, x, weight, bias, layer.stride, layer.relu6, *scale)


@torch.no_grad()
def add_dense(content: bytes, head: DenseHead, cells: Cells, rows: NDArray[np.int64]) -> bytes:
    """The encoder file with the head behind it; ranges are those of the views `rows`."""
    head = head.eval()
    graph = GraphWriter.extend(content, ADDED)
    given_near, given_far = inputs(cells, rows)
    near = Folded().conv("near", head.near, given_near)
    far = Folded().conv("far", head.far, given_far)
    x = _conv(graph, ADDED + "near", head.near, graph.named(NEAR), _range(near))
    y = _conv(graph, ADDED + "far", head.far, graph.named(FAR), _range(far))
    y = tw.enlarge(graph, ADDED + "enlarged", y, x.shape[1] // y.shape[1])
    six = tw.range_to_quantisation(0, 6)
    x = tw.add(graph, ADDED + "sum", x, y, *six, relu6=True)
    for name, layer in (("around", head.around), ("mixed", head.mixed), ("wider", head.wider)):
        x = _conv(graph, ADDED + name, layer, x, six)
    embedding = graph.named("embedding")
    weight, bias = output_weights(head, embedding.scale)
    x = tw.conv(graph, ADDED + "cells", x, weight, bias, 1, False, embedding.scale, 0)
    x = tw.flatten(graph, ADDED + "flat", x)
    return graph.finish(
        [graph.named("pixels")], [tw.concatenate(graph, ADDED + "output", embedding, x)]
    )


def output_weights(head: DenseHead, step: float) -> tuple[F32, F32]:
    """The last layer, so that integers at scale `step` are so many steps of a value."""
    assert head.out.bias is not None
    factor = torch.full((len(head.out.bias),), LOGIT_STEPS * step)
    factor[DIM + 1 :] = EDGE_STEPS * step
    weight = (head.out.weight * factor[:, None, None, None]).permute(0, 2, 3, 1)
    bias = head.out.bias * factor
    return np.ascontiguousarray(weight.numpy(), np.float32), bias.numpy().astype(np.float32)


def graft(path: Path, head: DenseHead, cells: Cells, rows: NDArray[np.int64]) -> None:
    """Put the head into the encoder file, in place of one that is there."""
    path.write_bytes(add_dense(path.read_bytes(), head, cells, rows))

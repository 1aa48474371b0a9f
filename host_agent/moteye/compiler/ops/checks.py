"""What several operators ask of their tensors."""

import math
from dataclasses import replace

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from ..quantize import activation_range
from ..reader import Graph, Op, Tensor, enum_names

_ACTIVATION_NAMES = enum_names(schema.ActivationFunctionType)


def computed(graph: Graph, op: Op, index: int) -> Tensor:
    """An int8 tensor with one scale that is computed, not constant."""
    tensor = graph.tensors[index]
    if tensor.data is not None:
        raise graph.fault(op, index, "is a constant; needs a computed tensor")
    return quantised(graph, op, index)


def quantised(graph: Graph, op: Op, index: int) -> Tensor:
    """An int8 tensor with one scale and a zero point in [-128, 127]."""
    tensor = graph.tensors[index]
    if tensor.dtype != "INT8":
        raise graph.fault(op, index, f"is {tensor.dtype}; needs INT8")
    if len(tensor.scale) != 1 or not (math.isfinite(tensor.scale[0]) and tensor.scale[0] > 0):
        raise graph.fault(op, index, "needs one positive scale")
    if not -128 <= int(tensor.zero_point[0]) <= 127:
        raise graph.fault(op, index, "has a zero point outside [-128, 127]")
    return tensor


def constant(graph: Graph, op: Op, index: int) -> NDArray[np.int64]:
    """Integers known at compile time, such as axes."""
    data = graph.tensors[index].data
    if data is None or data.dtype.kind != "i":
        raise graph.fault(op, index, "needs a constant of integers")
    return data.astype(np.int64)


def filters(graph: Graph, op: Op, index: int, rank: int, axis: int) -> Tensor:
    """A constant int8 filter, one scale or one a slice of `axis`.

    Its zero point is 0, unless it comes from uint8 and its weights less the zero point do not fit
    int8.
    """
    tensor = graph.tensors[index]
    if tensor.dtype != "INT8" or tensor.data is None or len(tensor.shape) != rank:
        raise graph.fault(op, index, f"needs a constant INT8 filter of rank {rank}")
    if tensor.unsigned and len(tensor.scale) == 1:
        tensor = _centred(tensor)
    elif np.any(tensor.zero_point != 0):
        raise graph.fault(op, index, "needs a filter with zero point 0")
    per_channel = len(tensor.scale) == tensor.shape[axis] and (
        tensor.axis == axis or len(tensor.scale) == 1
    )
    if len(tensor.scale) != 1 and not per_channel:
        raise graph.fault(op, index, f"needs one scale, or one a slice of axis {axis}")
    if not np.all(np.isfinite(tensor.scale)):
        raise graph.fault(op, index, "has a scale that is not finite")
    return tensor


def _centred(tensor: Tensor) -> Tensor:
    """The same filter with zero point 0, if int8 can hold that."""
    assert tensor.data is not None
    data = tensor.data.astype(np.int64) - int(tensor.zero_point[0])
    if data.min() < -128 or data.max() > 127:
        return tensor
    return replace(tensor, data=data.astype(np.int8), zero_point=np.zeros(1, np.int64))


def filter_zero_point(tensor: Tensor) -> int:
    """What `filters` left of a filter's zero point."""
    return int(tensor.zero_point[0]) if len(tensor.zero_point) == 1 else 0


def limits(graph: Graph, op: Op) -> tuple[int, int]:
    """The output's quantised limits: the fused activation's and those that passes folded in."""
    activation = _ACTIVATION_NAMES.get(op.options.fusedActivationFunction, "?")
    if activation not in ("NONE", "RELU", "RELU6", "RELU_N1_TO_1"):
        raise graph.fault(op, op.outputs[0], f"fused activation {activation} not supported")
    low, high = activation_range(activation, graph.tensors[op.outputs[0]])
    low, high = max(low, op.clamp[0]), min(high, op.clamp[1])
    if low > high:
        raise graph.fault(op, op.outputs[0], "its activation leaves no value that int8 can hold")
    return low, high


def image(graph: Graph, op: Op, index: int) -> tuple[int, int, int]:
    """(height, width, channels) of a tensor of shape (1, h, w, c)."""
    shape = graph.tensors[index].shape
    if len(shape) != 4 or shape[0] != 1:
        raise graph.fault(op, index, f"has shape {list(shape)}; needs [1, height, width, channels]")
    return shape[1], shape[2], shape[3]

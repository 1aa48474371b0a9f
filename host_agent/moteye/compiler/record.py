"""Op records: what lowering hands to planning and packing; layout device/kernels/FORMAT.md."""

import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .quantize import quantize_multiplier
from .reader import Graph, Op

CONV_2D = 1
DEPTHWISE_CONV_2D = 2
FULLY_CONNECTED = 3
ADD = 4
PAD = 5
MEAN = 6
AVERAGE_POOL_2D = 7
MAX_POOL_2D = 8
TRANSPOSE = 9
SOFTMAX = 10


@dataclass(frozen=True)
class Weights:
    """Constants of an operator: its filter, and bias, multiplier and shift an output channel."""

    filter: NDArray[np.int8]
    bias: NDArray[np.int32]
    multiplier: NDArray[np.int32]
    shift: NDArray[np.int8]


@dataclass(frozen=True)
class Record:
    """One operator, lowered: tensor indices, and `body`, the bytes of its struct."""

    kind: int
    name: str
    inputs: tuple[int, ...]
    output: int
    body: bytes
    macs: int = 0
    weights: Weights | None = None
    in_place: bool = field(default=False)


def pack_fields(graph: Graph, op: Op, layout: str, *values: int) -> bytes:
    """struct.pack, little-endian; a value out of its field's range is the model's fault."""
    try:
        return struct.pack("<" + layout, *values)
    except struct.error as error:
        raise graph.fault(op, op.outputs[0], f"too large for the runtime ({error})") from error


def channel_weights(
    graph: Graph, op: Op, filters: NDArray[np.int8], bias_index: int, factors: list[float]
) -> Weights:
    """Weights with one requantisation factor a channel; a bias left out is zero."""
    channels = len(factors)
    if bias_index == -1:
        bias = np.zeros(channels, np.int32)
    else:
        tensor = graph.tensors[bias_index]
        if tensor.dtype != "INT32" or tensor.data is None or tensor.elements != channels:
            raise graph.fault(op, bias_index, f"needs a constant INT32 bias of {channels} entries")
        bias = np.ascontiguousarray(tensor.data.reshape(-1))
    pairs = [quantize_multiplier(factor) for factor in factors]
    if any(shift > 30 for _, shift in pairs):
        raise graph.fault(op, op.outputs[0], "scales so far apart that no multiplier fits")
    multiplier = np.array([pair[0] for pair in pairs], np.int32)
    shift = np.array([pair[1] for pair in pairs], np.int8)
    return Weights(np.ascontiguousarray(filters), bias, multiplier, shift)

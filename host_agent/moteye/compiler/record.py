"""Op records: what lowering hands to planning and packing; layout device/kernels/FORMAT.md."""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .quantize import quantize_multiplier
from .reader import Graph, Op

CUSTOM = 128  # and up: what a build outside this tree adds


@dataclass(frozen=True)
class Weights:
    """Constants of an operator: its filter, and bias, multiplier and shift an output channel."""

    filter: NDArray[np.int8]
    bias: NDArray[np.int32]
    multiplier: NDArray[np.int32]
    shift: NDArray[np.int8]

    def constants(self) -> tuple["Constant", ...]:
        """As they stand behind a record's struct."""
        return (
            Constant(self.filter.tobytes(), 16),
            Constant(self.bias.astype("<i4").tobytes()),
            Constant(self.multiplier.astype("<i4").tobytes()),
            Constant(self.shift.tobytes()),
        )


@dataclass(frozen=True)
class Constant:
    """Bytes of the data section, at a multiple of `alignment`."""

    data: bytes
    alignment: int = 4


@dataclass(frozen=True)
class Record:
    """One operator, lowered: tensor indices, and `body`, the bytes of its struct.

    Behind the body stand the arena offsets of inputs from the third on, then the offsets of
    `constants` from the start of the pack.
    """

    kind: int
    name: str
    inputs: tuple[int, ...]
    output: int
    body: bytes
    macs: int = 0
    weights: Weights | None = None
    in_place: bool = False
    constants: tuple[Constant, ...] = ()
    offsets: tuple[int, int] = (0, 0)  # bytes into the first input and the output

    def all_constants(self) -> tuple[Constant, ...]:
        """The weights', and the others."""
        return (*(self.weights.constants() if self.weights else ()), *self.constants)


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

"""Channels whose value does not depend on the input, taken out of a graph: every output bit stays.

A convolution's channel with all-zero weights is a constant, and a depthwise convolution keeps it
one: everywhere when the constant is the zero point (padding looks the same) or nothing is padded.
What reads it is a constant too, and moves into the next convolution's bias. A channel that the next
convolution has no weight for goes as well.
"""

import struct
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .ops import lower_op
from .reader import Graph, Op

_GROUP = 4  # kernels like channels in fours: so many are kept that this divides what is left
_INT32 = 1 << 31


class _Layer:
    """A convolution as the kernels see it: integers only."""

    def __init__(self, graph: Graph, op: Op) -> None:
        (record,) = lower_op(graph, op)
        assert record.weights is not None
        self.op, self.weights = op, record.weights
        fields = struct.unpack("<14H4hHh", record.body)
        (in_h, in_w, _, out_h, out_w, _, kernel_h, kernel_w) = fields[:8]
        stride_h, stride_w, dilation_h, dilation_w, top, left = fields[8:14]
        self.in_zero_point, self.out_zero_point, self.low, self.high = fields[14:18]
        bottom = (out_h - 1) * stride_h + (kernel_h - 1) * dilation_h + 1 - top - in_h
        right = (out_w - 1) * stride_w + (kernel_w - 1) * dilation_w + 1 - left - in_w
        self.offset = fields[19] != 0  # a filter's zero point: its weights are not what they seem
        self.padded = max(top, left, bottom, right) > 0

    def value(self, channel: int, total: int) -> int:
        """The output of `channel` for a sum of products (without bias), as the kernels round."""
        multiplier = int(self.weights.multiplier[channel])
        shift = int(self.weights.shift[channel])
        total = _wrap(total + int(self.weights.bias[channel]))
        scaled = (_wrap(total << max(shift, 0)) * multiplier + (1 << 30)) >> 31
        right = max(-shift, 0)
        mask = (1 << right) - 1
        rounded = (scaled >> right) + ((scaled & mask) > (mask >> 1) + (scaled < 0))
        result: int = min(max(_wrap(rounded + self.out_zero_point), self.low), self.high)
        return result


def _wrap(value: int) -> int:
    return (value + _INT32) % (2 * _INT32) - _INT32


def _sole_reader(graph: Graph, index: int) -> Op | None:
    readers = list(graph.readers(index))
    shared = index == graph.output or index in graph.storage or index in graph.storage.values()
    return None if shared or len(readers) != 1 or readers[0].inputs[0] != index else readers[0]


def _through_depthwise(layer: _Layer, constants: dict[int, int]) -> dict[int, int]:
    """Constant channels behind a depthwise convolution."""
    filters = layer.weights.filter[0].astype(np.int64)
    result = {}
    for channel in range(filters.shape[-1]):
        total = int(filters[..., channel].sum())
        if not filters[..., channel].any():
            result[channel] = layer.value(channel, 0)
        elif channel in constants:
            offset = constants[channel] - layer.in_zero_point
            if offset == 0 or not layer.padded:
                result[channel] = layer.value(channel, total * offset)
    return result


def _into_bias(layer: _Layer, constants: dict[int, int]) -> dict[int, NDArray[np.int64]]:
    """What an input channel adds to every sum, where that is the same for every input and place.

    That is so for constants, and for channels that have no weight here, whatever they hold.
    """
    filters = layer.weights.filter.astype(np.int64)
    result = {}
    for channel in range(filters.shape[-1]):
        weights = filters[..., channel]
        if not weights.any():
            result[channel] = np.zeros(len(filters), np.int64)
        elif channel in constants:
            offset = constants[channel] - layer.in_zero_point
            if offset == 0 or not layer.padded:
                result[channel] = weights.sum((1, 2)) * offset
    return result


def _chain(graph: Graph, op: Op) -> tuple[list[_Layer], dict[int, int]] | None:
    """(op, depthwise convolutions behind it, the next convolution; constants it reads), or None."""
    first = _Layer(graph, op)
    filters = first.weights.filter
    constants = {
        channel: first.value(channel, 0)
        for channel in range(len(filters))
        if not filters[channel].any()
    }
    layers = [first]
    if first.offset:
        return None
    while True:
        reader = _sole_reader(graph, layers[-1].op.outputs[0])
        if reader is None or reader.kind not in ("DEPTHWISE_CONV_2D", "CONV_2D"):
            return None
        layer = _Layer(graph, reader)
        layers.append(layer)
        if layer.offset:
            return None
        if reader.kind == "CONV_2D":
            return layers, constants
        if layer.weights.filter.shape[-1] != len(filters):
            return None
        constants = _through_depthwise(layer, constants)


def _own(graph: Graph, op: Op) -> bool:
    """Whether no other operator shares this one's constants."""
    constants = [index for index in op.inputs[1:] if index != -1]
    return all(len(list(graph.readers(index))) == 1 for index in constants)


def _take(graph: Graph, index: int, axis: int, kept: list[int], per_channel: bool) -> None:
    """Keep some slices of a tensor along an axis, and their scales if it has one each."""
    tensor = graph.tensors[index]
    shape = (*tensor.shape[:axis], len(kept), *tensor.shape[axis + 1 :])
    data = None if tensor.data is None else np.ascontiguousarray(tensor.data.take(kept, axis))
    scale, zero_point = tensor.scale, tensor.zero_point
    if per_channel and len(scale) > 1:
        scale, zero_point = scale[kept], zero_point[kept]
    graph.tensors[index] = replace(
        tensor, shape=shape, data=data, scale=scale, zero_point=zero_point
    )


def _remove(graph: Graph, layers: list[_Layer], kept: list[int], extra: NDArray[np.int64]) -> None:
    for layer in layers[:-1]:
        op = layer.op
        axis = 0 if op.kind == "CONV_2D" else 3
        _take(graph, op.inputs[1], axis, kept, True)
        if len(op.inputs) > 2 and op.inputs[2] != -1:
            _take(graph, op.inputs[2], 0, kept, True)
        _take(graph, op.outputs[0], 3, kept, False)
    last = layers[-1].op
    _take(graph, last.inputs[1], 3, kept, False)
    if extra.any():
        bias = graph.tensors[last.inputs[2]]
        assert bias.data is not None
        total = (bias.data.astype(np.int64) + extra).astype(np.int32)
        graph.tensors[last.inputs[2]] = replace(bias, data=total)


def remove_dead_channels(graph: Graph) -> list[str]:
    """Take out channels that are constant or that nobody reads, in place.

    Returns a line for each convolution that lost some.
    """
    lines = []
    for op in graph.ops:
        if op.kind != "CONV_2D":
            continue
        chain = _chain(graph, op)
        if chain is None or not all(_own(graph, layer.op) for layer in chain[0]):
            continue
        layers, constants = chain
        added = _into_bias(layers[-1], constants)
        channels = layers[0].weights.filter.shape[0]
        count = len(added) - len(added) % _GROUP if channels % _GROUP == 0 else len(added)
        if count == channels:
            count -= _GROUP if channels > _GROUP else 1
        removed = sorted(added)[: max(count, 0)]
        if not removed:
            continue
        extra = sum((added[channel] for channel in removed), np.zeros_like(added[removed[0]]))
        last = layers[-1]
        has_bias = len(last.op.inputs) > 2 and last.op.inputs[2] != -1
        total = last.weights.bias.astype(np.int64) + extra
        if (extra.any() and not has_bias) or np.any(total != total.astype(np.int32)):
            continue
        _remove(graph, layers, [k for k in range(channels) if k not in removed], extra)
        name = graph.tensors[op.outputs[0]].name
        lines.append(f"{op.kind} {name!r}: {len(removed)} of {channels} channels go")
    return lines

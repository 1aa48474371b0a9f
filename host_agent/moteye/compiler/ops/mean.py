"""MEAN over neighbouring axes."""

import math

from ..quantize import quantize_multiplier
from ..reader import Graph, Op
from ..record import MEAN, Record, pack_fields
from .checks import computed, constant, quantised

_MAX_REDUCE = 1 << 23  # MEAN_MAX_REDUCE


def _factor(scale_ratio: float, count: int) -> tuple[int, int]:
    """The change of scale with 1 / count worked into it, in the integer steps that TFLite takes."""
    multiplier, exponent = quantize_multiplier(scale_ratio)
    shift = min(count.bit_length() - 1, 32, 31 + exponent)
    return (multiplier << shift) // count, exponent - shift


def lower(graph: Graph, op: Op) -> Record:
    """The record of MEAN."""
    source = computed(graph, op, op.inputs[0])
    target = quantised(graph, op, op.outputs[0])
    rank = len(source.shape)
    axes = sorted({int(axis) % rank for axis in constant(graph, op, op.inputs[1]).reshape(-1)})
    # Axes of length 1 join or split nothing.
    axes = [axis for axis in axes if source.shape[axis] != 1] or axes[:1]
    if not axes or axes != list(range(axes[0], axes[-1] + 1)):
        raise graph.fault(op, op.inputs[1], f"reduces axes {axes}; needs neighbouring ones")
    outer = math.prod(source.shape[: axes[0]])
    count = math.prod(source.shape[axis] for axis in axes)
    inner = math.prod(source.shape[axes[-1] + 1 :])
    if count > _MAX_REDUCE:
        raise graph.fault(op, op.inputs[0], f"mean of {count} values; {_MAX_REDUCE} are supported")
    multiplier, shift = _factor(float(source.scale[0]) / float(target.scale[0]), count)
    body = pack_fields(
        graph,
        op,
        "3IihbbI",
        outer,
        count,
        inner,
        multiplier,
        shift,
        int(source.zero_point[0]),
        int(target.zero_point[0]),
        0,
    )
    return Record(MEAN, op.kind, (op.inputs[0],), op.outputs[0], body)

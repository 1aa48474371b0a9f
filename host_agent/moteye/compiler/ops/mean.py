"""MEAN, over neighbouring axes or with the reduced ones moved together first."""

import math
from dataclasses import replace

from ..kinds import MEAN
from ..quantize import quantize_multiplier
from ..reader import Graph, Op, Tensor
from ..record import Record, pack_fields
from .checks import computed, constant, quantised
from .copies import transpose_record

_MAX_REDUCE = 1 << 23  # MEAN_MAX_REDUCE


def _factor(scale_ratio: float, count: int) -> tuple[int, int]:
    """The change of scale with 1 / count worked into it, in the integer steps that TFLite takes."""
    multiplier, exponent = quantize_multiplier(scale_ratio)
    shift = min(count.bit_length() - 1, 32, 31 + exponent)
    return (multiplier << shift) // count, exponent - shift


def _axes(graph: Graph, op: Op, source: Tensor) -> list[int]:
    """What is reduced; axes of length 1 join or split nothing."""
    rank = len(source.shape)
    axes = sorted({int(axis) % rank for axis in constant(graph, op, op.inputs[1]).reshape(-1)})
    return [axis for axis in axes if source.shape[axis] != 1] or axes[:1]


def _gathered(graph: Graph, op: Op, source: Tensor, axes: list[int]) -> tuple[int, Record]:
    """(new tensor, its record): the input with the reduced axes last."""
    order = [axis for axis in range(len(source.shape)) if axis not in axes] + axes
    shape = tuple(source.shape[axis] for axis in order)
    graph.tensors.append(replace(source, name=f"{source.name} (reordered)", shape=shape))
    index = len(graph.tensors) - 1
    return index, transpose_record(graph, op, (op.inputs[0], index), order)


def lower(graph: Graph, op: Op) -> list[Record]:
    """The records of MEAN."""
    source = computed(graph, op, op.inputs[0])
    target = quantised(graph, op, op.outputs[0])
    axes, index, before = _axes(graph, op, source), op.inputs[0], []
    if not axes:
        raise graph.fault(op, op.inputs[1], "reduces no axis")
    if axes != list(range(axes[0], axes[-1] + 1)):
        index, record = _gathered(graph, op, source, axes)
        before, source = [record], graph.tensors[index]
        axes = list(range(len(source.shape) - len(axes), len(source.shape)))
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
    return [*before, Record(MEAN, op.kind, (index,), op.outputs[0], body)]


LOWERS = {"MEAN": lower}

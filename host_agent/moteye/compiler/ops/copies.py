"""Operators that only move values: each output, or each input's part of one, is a copy."""

import math
from dataclasses import dataclass

from ..kinds import COPY
from ..reader import Graph, Op, Tensor
from ..record import Record, pack_fields
from .checks import computed, constant, quantised


@dataclass(frozen=True)
class Places:
    """Where values stand: `start + Σ i_k * step[k]`, in elements."""

    step: tuple[int, ...]
    start: int = 0


def strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Steps of the dims of a tensor."""
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def _merged(dims: tuple[int, ...], source: Places, target: Places) -> list[tuple[int, int, int]]:
    """(side, step in the source, step in the target) of the fewest loops that do the same."""
    loops: list[tuple[int, int, int]] = []
    for side, a, b in zip(dims, source.step, target.step, strict=True):
        if side == 1:
            continue
        if loops and loops[-1][1:] == (a * side, b * side):
            loops[-1] = (loops[-1][0] * side, a, b)
        else:
            loops.append((side, a, b))
    return [(1, 0, 0)] * (4 - len(loops)) + loops


def copy_record(
    graph: Graph,
    op: Op,
    ends: tuple[int, int],
    dims: tuple[int, ...],
    source: Places,
    target: Places,
) -> Record:
    """The record that copies `dims` values from tensor ends[0] to ends[1]."""
    loops = _merged(dims, source, target)
    if len(loops) > 4:
        raise graph.fault(op, ends[1], f"takes {len(loops)} nested loops; 4 are supported")
    sides, from_steps, to_steps = zip(*loops, strict=True)
    body = pack_fields(
        graph, op, "4I8i2I", *sides, *from_steps, *to_steps, source.start, target.start
    )
    return Record(COPY, op.kind, (ends[0],), ends[1], body)


def _same(graph: Graph, op: Op, source: int, target: int) -> tuple[Tensor, Tensor]:
    a, b = computed(graph, op, source), quantised(graph, op, target)
    if not a.same_quantisation(b) or a.unsigned != b.unsigned:
        raise graph.fault(op, target, f"needs the quantisation of {a.name!r}")
    return a, b


def _axis(graph: Graph, op: Op, axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise graph.fault(op, op.outputs[0], f"axis {axis} of a tensor of rank {rank}")
    return axis % rank


def _parts(
    graph: Graph, op: Op, whole: int, parts: list[int], axis: int, join: bool
) -> list[Record]:
    """Copies between a tensor and pieces of it that lie one behind the other along `axis`."""
    records, at = [], 0
    shape = graph.tensors[whole].shape
    for part in parts:
        _same(graph, op, *((part, whole) if join else (whole, part)))
        dims = graph.tensors[part].shape
        if len(dims) != len(shape):  # PACK and UNPACK: the piece lacks the axis
            dims = (*dims[:axis], 1, *dims[axis:])
        if dims[:axis] != shape[:axis] or dims[axis + 1 :] != shape[axis + 1 :]:
            raise graph.fault(op, part, f"{list(dims)} is no piece of {list(shape)} along {axis}")
        inside, own = Places(strides(shape), at * strides(shape)[axis]), Places(strides(dims))
        ends, places = ((part, whole), (own, inside)) if join else ((whole, part), (inside, own))
        records.append(copy_record(graph, op, ends, dims, *places))
        at += dims[axis]
    if at != shape[axis]:
        raise graph.fault(op, whole, f"its pieces have {at} of {shape[axis]} slices along {axis}")
    return records


def lower_concatenation(graph: Graph, op: Op) -> list[Record]:
    """CONCATENATION and PACK: a copy an input."""
    if getattr(op.options, "fusedActivationFunction", 0):
        raise graph.fault(op, op.outputs[0], "a fused activation is not supported")
    axis = _axis(graph, op, op.options.axis, len(graph.tensors[op.outputs[0]].shape))
    return _parts(graph, op, op.outputs[0], op.inputs, axis, True)


def lower_split(graph: Graph, op: Op) -> list[Record]:
    """SPLIT, SPLIT_V and UNPACK: a copy an output."""
    source = op.inputs[1] if op.kind == "SPLIT" else op.inputs[0]
    if op.kind == "UNPACK":
        axis = int(op.options.axis)
    else:
        at = op.inputs[0] if op.kind == "SPLIT" else op.inputs[2]
        axis = int(constant(graph, op, at).reshape(-1)[0])
    axis = _axis(graph, op, axis, len(graph.tensors[source].shape))
    return _parts(graph, op, source, op.outputs, axis, False)


def _slice(
    graph: Graph, op: Op, begin: list[int], step: list[int], dims: tuple[int, ...]
) -> Record:
    source, target = _same(graph, op, op.inputs[0], op.outputs[0])
    if math.prod(dims) != target.elements:
        raise graph.fault(op, op.outputs[0], f"has not the {math.prod(dims)} values of the slice")
    own = strides(source.shape)
    places = Places(
        tuple(a * b for a, b in zip(own, step, strict=True)),
        sum(a * b for a, b in zip(own, begin, strict=True)),
    )
    ends = (op.inputs[0], op.outputs[0])
    return copy_record(graph, op, ends, dims, places, Places(strides(dims)))


def lower_slice(graph: Graph, op: Op) -> Record:
    """SLICE."""
    shape = graph.tensors[op.inputs[0]].shape
    begin = constant(graph, op, op.inputs[1]).reshape(-1).tolist()
    sizes = constant(graph, op, op.inputs[2]).reshape(-1).tolist()
    if len(begin) != len(shape) or len(sizes) != len(shape):
        raise graph.fault(op, op.inputs[1], f"needs {len(shape)} entries")
    dims = tuple(
        side - first if size == -1 else size
        for side, first, size in zip(shape, begin, sizes, strict=True)
    )
    if any(
        first < 0 or size < 1 or first + size > side
        for side, first, size in zip(shape, begin, dims, strict=True)
    ):
        raise graph.fault(op, op.inputs[1], f"{begin} + {list(dims)} lies outside {list(shape)}")
    return _slice(graph, op, begin, [1] * len(shape), dims)


def lower_strided_slice(graph: Graph, op: Op) -> Record:
    """STRIDED_SLICE with begin, end and shrink masks."""
    shape, options = graph.tensors[op.inputs[0]].shape, op.options
    if options.ellipsisMask or options.newAxisMask or getattr(options, "offset", False):
        raise graph.fault(op, op.inputs[0], "ellipsis, new axes and offsets are not supported")
    given = [constant(graph, op, index).reshape(-1).tolist() for index in op.inputs[1:4]]
    if any(len(values) != len(shape) for values in given) or 0 in given[2]:
        raise graph.fault(op, op.inputs[1], f"needs {len(shape)} entries, and no stride of 0")
    begin, dims = [], []
    for i, (side, first, end, step) in enumerate(zip(shape, *given, strict=True)):
        if options.shrinkAxisMask >> i & 1:
            span = range(first % side if -side <= first < side else side, side)[:1]
        else:
            low = None if options.beginMask >> i & 1 else first
            high = None if options.endMask >> i & 1 else end
            span = range(side)[slice(low, high, step)]
        if len(span) == 0:
            raise graph.fault(op, op.outputs[0], f"is empty along axis {i}")
        begin.append(span[0])
        dims.append(len(span))
    return _slice(graph, op, begin, given[2], tuple(dims))


def transpose_record(graph: Graph, op: Op, ends: tuple[int, int], axes: list[int]) -> Record:
    """The record that reorders the axes of tensor ends[0] into ends[1]."""
    shape = graph.tensors[ends[0]].shape
    dims, own = tuple(shape[axis] for axis in axes), strides(shape)
    steps = tuple(own[axis] for axis in axes)
    return copy_record(graph, op, ends, dims, Places(steps), Places(strides(dims)))


def lower_transpose(graph: Graph, op: Op) -> Record:
    """TRANSPOSE that really moves bytes."""
    source, _ = _same(graph, op, op.inputs[0], op.outputs[0])
    rank = len(source.shape)
    axes = constant(graph, op, op.inputs[1]).reshape(-1).tolist()
    axes = [axis % rank for axis in axes]
    if sorted(axes) != list(range(rank)):
        raise graph.fault(op, op.inputs[1], f"axes {axes} of a tensor of rank {rank}")
    return transpose_record(graph, op, (op.inputs[0], op.outputs[0]), axes)


LOWERS = {
    "CONCATENATION": lower_concatenation,
    "PACK": lower_concatenation,
    "SLICE": lower_slice,
    "SPLIT": lower_split,
    "SPLIT_V": lower_split,
    "STRIDED_SLICE": lower_strided_slice,
    "TRANSPOSE": lower_transpose,
    "UNPACK": lower_split,
}

"""ADD, SUB and MUL, broadcast, of computed tensors or of one and a constant."""

import numpy as np

from ..kinds import ADD, ARITHMETIC
from ..quantize import quantize_multiplier
from ..reader import Graph, Op, Tensor
from ..record import Constant, Record, pack_fields
from .checks import limits, quantised

_LEFT_SHIFT = 20  # headroom that both inputs get before they are scaled down
_FUNCTIONS = {"ADD": 0, "SUB": 1, "MUL": 2}
_MAX_SIDE = 65535

Factor = tuple[int, int]


def _sum_factors(graph: Graph, op: Op, a: Tensor, b: Tensor, out: Tensor) -> list[Factor]:
    """Factors of a, b and the output, as ADD and SUB scale."""
    common = 2 * max(float(a.scale[0]), float(b.scale[0]))
    factors = [
        quantize_multiplier(float(a.scale[0]) / common),
        quantize_multiplier(float(b.scale[0]) / common),
        quantize_multiplier(common / ((1 << _LEFT_SHIFT) * float(out.scale[0]))),
    ]
    if factors[2][1] > 0:
        raise graph.fault(op, op.outputs[0], "its scale is too small for those of the inputs")
    return factors


def _product_factors(graph: Graph, op: Op, a: Tensor, b: Tensor, out: Tensor) -> list[Factor]:
    # In float32, as TFLite computes it.
    factor = quantize_multiplier(float(a.scale[0] * b.scale[0] / out.scale[0]))
    if factor[1] > 30:
        raise graph.fault(op, op.outputs[0], "scales so far apart that no multiplier fits")
    return [(0, 0), (0, 0), factor]


def _scaling(
    graph: Graph, op: Op, tensors: tuple[Tensor, Tensor, Tensor]
) -> tuple[list[int], list[int]]:
    """(multipliers, then shifts and left shift; zero points and limits) of the structs."""
    product = op.kind == "MUL"
    factors = (_product_factors if product else _sum_factors)(graph, op, *tensors)
    scales = [factor[0] for factor in factors] + [factor[1] for factor in factors]
    zero_points = [int(tensor.zero_point[0]) for tensor in tensors]
    return [*scales, 0 if product else _LEFT_SHIFT], [*zero_points, *limits(graph, op)]


def _repeated(shape: tuple[int, ...], out: tuple[int, ...]) -> list[bool] | None:
    """Which of the output's dims an operand repeats over; None if it does not broadcast to it."""
    sides = (1,) * (len(out) - len(shape)) + shape
    if len(sides) != len(out) or any(s not in (1, o) for s, o in zip(sides, out, strict=True)):
        return None
    return [s == 1 and o != 1 for s, o in zip(sides, out, strict=True)]


def _merged(
    out: tuple[int, ...], a: list[bool], b: list[bool]
) -> list[tuple[int, tuple[bool, bool]]]:
    """(side, who repeats) of the fewest dims that say the same."""
    dims: list[tuple[int, tuple[bool, bool]]] = []
    for side, way in zip(out, zip(a, b, strict=True), strict=True):
        if side == 1:
            continue
        if dims and dims[-1][1] == way and dims[-1][0] * side <= _MAX_SIDE:
            dims[-1] = (dims[-1][0] * side, way)
        else:
            dims.append((side, way))
    return [(1, (False, False))] * (4 - len(dims)) + dims


def _operands(graph: Graph, op: Op) -> tuple[Tensor, Tensor, Tensor]:
    a, b = (quantised(graph, op, index) for index in op.inputs)
    if a.data is not None and b.data is not None:
        raise graph.fault(op, op.inputs[0], "both operands are constants; needs a computed one")
    return a, b, quantised(graph, op, op.outputs[0])


def lower(graph: Graph, op: Op) -> Record:
    """The record of ADD, SUB or MUL."""
    a, b, out = _operands(graph, op)
    ways = _repeated(a.shape, out.shape), _repeated(b.shape, out.shape)
    if ways[0] is None or ways[1] is None:
        raise graph.fault(
            op, op.inputs[1], f"{list(a.shape)} and {list(b.shape)} do not give {list(out.shape)}"
        )
    scales, offsets = _scaling(graph, op, (a, b, out))
    plain = a.data is None and b.data is None and not any(ways[0]) and not any(ways[1])
    if op.kind == "ADD" and plain:
        body = pack_fields(graph, op, "I3i4h5h3H", out.elements, *scales, *offsets, 0, 0, 0)
        return Record(ADD, op.kind, tuple(op.inputs), op.outputs[0], body, in_place=True)
    dims = _merged(out.shape, ways[0], ways[1])
    if len(dims) > 4:
        raise graph.fault(op, op.inputs[1], "broadcasts along too many axes in turn")
    repeats = sum(way[0] << i | way[1] << (i + 4) for i, (_, way) in enumerate(dims))
    side = 1 if a.data is not None else 2 if b.data is not None else 0
    held = a.data if side == 1 else b.data
    tail = () if held is not None else (0,)
    sides = [size for size, _ in dims]
    layout = "4H3i4h5hBBHH" + "I" * len(tail)
    body = pack_fields(
        graph, op, layout, *sides, *scales, *offsets, _FUNCTIONS[op.kind], repeats, side, 0, *tail
    )
    constants = () if held is None else (Constant(np.ascontiguousarray(held).tobytes()),)
    inputs = tuple(index for index in op.inputs if graph.tensors[index].data is None)
    return Record(
        ARITHMETIC, op.kind, inputs, op.outputs[0], body, in_place=True, constants=constants
    )


LOWERS = dict.fromkeys(_FUNCTIONS, lower)

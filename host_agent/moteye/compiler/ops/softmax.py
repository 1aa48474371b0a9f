"""SOFTMAX over the last axis."""

import math

from ..kinds import SOFTMAX
from ..quantize import quantize_multiplier
from ..reader import Graph, Op
from ..record import Record, pack_fields
from .checks import computed, quantised

_MAX_DEPTH = 2048
_INTEGER_BITS = 5  # of a difference of logits, scaled


def lower(graph: Graph, op: Op) -> Record:
    """The record of SOFTMAX."""
    source = computed(graph, op, op.inputs[0])
    target = quantised(graph, op, op.outputs[0])
    if float(target.scale[0]) != 1 / 256 or int(target.zero_point[0]) != -128:
        raise graph.fault(op, op.outputs[0], "needs scale 1/256 and zero point -128")
    depth = source.shape[-1]
    if depth > _MAX_DEPTH:
        raise graph.fault(op, op.inputs[0], f"{depth} classes; {_MAX_DEPTH} are supported")
    fraction_bits = 31 - _INTEGER_BITS
    factor = float(op.options.beta) * float(source.scale[0]) * (1 << fraction_bits)
    multiplier, left_shift = quantize_multiplier(min(factor, (1 << 31) - 1.0))
    if left_shift < 0:
        raise graph.fault(op, op.inputs[0], "its scale is too small")
    largest = ((1 << _INTEGER_BITS) - 1) * (1 << fraction_bits) / (1 << left_shift)
    body = pack_fields(
        graph,
        op,
        "2IiiiI",
        source.elements // depth,
        depth,
        multiplier,
        left_shift,
        -math.floor(largest),
        0,
    )
    return Record(SOFTMAX, op.kind, (op.inputs[0],), op.outputs[0], body, in_place=True)


LOWERS = {"SOFTMAX": lower}

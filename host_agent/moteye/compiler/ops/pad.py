"""PAD that no convolution could take over."""

import numpy as np

from ..reader import Graph, Op
from ..record import PAD, Record, pack_fields
from .checks import computed, constant, image, quantised


def lower(graph: Graph, op: Op) -> Record:
    """The record of PAD."""
    source = computed(graph, op, op.inputs[0])
    target = quantised(graph, op, op.outputs[0])
    amounts = constant(graph, op, op.inputs[1])
    if not source.same_quantisation(target):
        raise graph.fault(op, op.outputs[0], "needs the quantisation of its input")
    if amounts.shape != (4, 2) or np.any(amounts < 0) or np.any(amounts[0] != 0):
        raise graph.fault(op, op.inputs[1], "needs four pairs, none negative, none along the batch")
    sides, padded = image(graph, op, op.inputs[0]), image(graph, op, op.outputs[0])
    if list(padded) != [
        side + int(pair.sum()) for side, pair in zip(sides, amounts[1:], strict=True)
    ]:
        raise graph.fault(op, op.outputs[0], "has not the padded shape")
    before = amounts[1:, 0].tolist()
    body = pack_fields(graph, op, "9Hh", *sides, *padded, *before, int(target.zero_point[0]))
    return Record(PAD, op.kind, (op.inputs[0],), op.outputs[0], body)

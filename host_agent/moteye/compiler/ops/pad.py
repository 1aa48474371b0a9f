"""PAD and PADV2 that no convolution could take over."""

import numpy as np

from ..kinds import PAD
from ..reader import Graph, Op, Tensor
from ..record import Record, pack_fields
from .checks import computed, constant, quantised


def _value(graph: Graph, op: Op, target: Tensor) -> int:
    """What fills the border."""
    if op.kind == "PAD":
        return int(target.zero_point[0])
    filler = quantised(graph, op, op.inputs[2])
    if filler.data is None or filler.elements != 1 or not filler.same_quantisation(target):
        raise graph.fault(op, op.inputs[2], "needs one constant, quantised as the output")
    return int(filler.data.reshape(-1)[0])


def lower(graph: Graph, op: Op) -> Record:
    """The record of PAD or PADV2."""
    source = computed(graph, op, op.inputs[0])
    target = quantised(graph, op, op.outputs[0])
    amounts = constant(graph, op, op.inputs[1])
    if not source.same_quantisation(target):
        raise graph.fault(op, op.outputs[0], "needs the quantisation of its input")
    rank = len(source.shape)
    if amounts.shape != (rank, 2) or rank > 4 or np.any(amounts < 0):
        raise graph.fault(op, op.inputs[1], f"needs a pair, none negative, for each of {rank} axes")
    lead = 4 - rank
    sides = [1] * lead + list(source.shape)
    amounts = np.concatenate([np.zeros((lead, 2), np.int64), amounts])
    padded = [side + int(pair.sum()) for side, pair in zip(sides, amounts, strict=True)]
    if padded != [1] * lead + list(target.shape):
        raise graph.fault(op, op.outputs[0], "has not the padded shape")
    if padded[0] != 1:
        raise graph.fault(op, op.inputs[1], "a batch is not padded")
    before = amounts[1:, 0].tolist()
    body = pack_fields(
        graph, op, "9Hh", *sides[1:], *padded[1:], *before, _value(graph, op, target)
    )
    return Record(PAD, op.kind, (op.inputs[0],), op.outputs[0], body)


LOWERS = {"PAD": lower, "PADV2": lower}

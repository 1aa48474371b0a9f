"""AVERAGE_POOL_2D and MAX_POOL_2D."""

from ..kinds import AVERAGE_POOL_2D, MAX_POOL_2D
from ..reader import Graph, Op
from ..record import Record
from .checks import computed, quantised
from .window import Window, pack_window

_KINDS = {"AVERAGE_POOL_2D": AVERAGE_POOL_2D, "MAX_POOL_2D": MAX_POOL_2D}


def lower(graph: Graph, op: Op) -> Record:
    """The record of a pooling."""
    source = computed(graph, op, op.inputs[0])
    if not source.same_quantisation(quantised(graph, op, op.outputs[0])):
        raise graph.fault(op, op.outputs[0], "needs the quantisation of its input")
    # TFLite's uint8 means round halves up, its int8 means away from zero.
    round_up = int(source.unsigned and op.kind == "AVERAGE_POOL_2D")
    kernel = (op.options.filterHeight, op.options.filterWidth)
    body, _ = pack_window(graph, op, Window(kernel, filter_zero_point=round_up))
    return Record(_KINDS[op.kind], op.kind, (op.inputs[0],), op.outputs[0], body)


LOWERS = {"AVERAGE_POOL_2D": lower, "MAX_POOL_2D": lower}

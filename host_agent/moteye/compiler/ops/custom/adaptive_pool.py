"""MoteyeAdaptivePool: averages to the output's size, which need not divide the input's."""

from ...kinds import ADAPTIVE_POOL
from ...reader import Graph, Op
from ...record import Record, pack_fields
from ..checks import computed, image, quantised

_MAX_VALUES = 32768


def lower(graph: Graph, op: Op) -> Record:
    """The record of a MoteyeAdaptivePool."""
    source, target = computed(graph, op, op.inputs[0]), quantised(graph, op, op.outputs[0])
    if not source.same_quantisation(target):
        raise graph.fault(op, op.outputs[0], "needs the quantisation of its input")
    in_h, in_w, channels = image(graph, op, op.inputs[0])
    out_h, out_w, out_c = image(graph, op, op.outputs[0])
    if out_c != channels:
        raise graph.fault(op, op.outputs[0], f"has {out_c} channels, the input {channels}")
    if (in_h // out_h + 2) * (in_w // out_w + 2) > _MAX_VALUES:
        raise graph.fault(op, op.inputs[0], f"needs means of more than {_MAX_VALUES} values")
    body = pack_fields(graph, op, "6H", in_h, in_w, out_h, out_w, channels, 0)
    return Record(ADAPTIVE_POOL, op.kind, (op.inputs[0],), op.outputs[0], body)


LOWERS = {"MoteyeAdaptivePool": lower}

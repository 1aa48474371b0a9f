"""DEPTHWISE_CONV_2D, with any PAD in front folded in."""

from ..kinds import DEPTHWISE_CONV_2D
from ..reader import Graph, Op
from ..record import Record, channel_weights
from .checks import computed, filter_zero_point, filters, quantised
from .conv_2d import MAX_OFFSET_TERMS, factors
from .window import Window, pack_window


def lower(graph: Graph, op: Op) -> Record:
    """The record of DEPTHWISE_CONV_2D."""
    source = computed(graph, op, op.inputs[0])
    quantised(graph, op, op.outputs[0])
    weights = filters(graph, op, op.inputs[1], rank=4, axis=3)
    assert weights.data is not None
    _, kernel_h, kernel_w, out_c = weights.shape
    in_c = source.shape[-1]
    if out_c % in_c != 0 or weights.shape[0] != 1:
        raise graph.fault(
            op, op.inputs[1], f"{out_c} channels are no multiple of the input's {in_c}"
        )
    if kernel_h * kernel_w > MAX_OFFSET_TERMS:
        raise graph.fault(op, op.inputs[1], "kernel too large")
    dilation = (op.options.dilationHFactor, op.options.dilationWFactor)
    window = Window((kernel_h, kernel_w), dilation, out_c // in_c, filter_zero_point(weights))
    body, outputs = pack_window(graph, op, window)
    bias = op.inputs[2] if len(op.inputs) > 2 else -1
    packed = channel_weights(graph, op, weights.data, bias, factors(graph, op, out_c))
    macs = outputs * kernel_h * kernel_w
    return Record(DEPTHWISE_CONV_2D, op.kind, (op.inputs[0],), op.outputs[0], body, macs, packed)


LOWERS = {"DEPTHWISE_CONV_2D": lower}

"""CONV_2D, with any PAD in front folded in."""

from ..kinds import CONV_2D
from ..reader import Graph, Op
from ..record import Record, channel_weights
from .checks import computed, filter_zero_point, filters, quantised
from .window import Window, pack_window

MAX_TERMS = 65535  # WINDOW_2D_MAX_TERMS
MAX_OFFSET_TERMS = 32767  # WINDOW_2D_MAX_OFFSET_TERMS


def factors(graph: Graph, op: Op, channels: int) -> list[float]:
    """Requantisation factor of each output channel, in double as TFLite computes it."""
    source, weights, target = (
        graph.tensors[i] for i in (op.inputs[0], op.inputs[1], op.outputs[0])
    )
    scales = weights.scale if len(weights.scale) > 1 else weights.scale.repeat(channels)
    return [float(source.scale[0]) * float(scale) / float(target.scale[0]) for scale in scales]


def lower(graph: Graph, op: Op) -> Record:
    """The record of CONV_2D."""
    source = computed(graph, op, op.inputs[0])
    quantised(graph, op, op.outputs[0])
    weights = filters(graph, op, op.inputs[1], rank=4, axis=0)
    assert weights.data is not None
    out_c, kernel_h, kernel_w, in_c = weights.shape
    if in_c != source.shape[-1]:
        raise graph.fault(
            op, op.inputs[1], f"groups are not supported ({source.shape[-1]} channels on {in_c})"
        )
    terms = kernel_h * kernel_w * in_c
    zero_point = filter_zero_point(weights)
    most = MAX_OFFSET_TERMS if zero_point else MAX_TERMS
    if terms > most:
        raise graph.fault(op, op.inputs[1], f"{terms} products an output; {most} are supported")
    dilation = (op.options.dilationHFactor, op.options.dilationWFactor)
    body, outputs = pack_window(graph, op, Window((kernel_h, kernel_w), dilation, 0, zero_point))
    bias = op.inputs[2] if len(op.inputs) > 2 else -1
    packed = channel_weights(graph, op, weights.data, bias, factors(graph, op, out_c))
    return Record(CONV_2D, op.kind, (op.inputs[0],), op.outputs[0], body, outputs * terms, packed)


LOWERS = {"CONV_2D": lower}

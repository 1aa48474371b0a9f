"""FULLY_CONNECTED."""

from ai_edge_litert import schema_py_generated as schema

from ..kinds import FULLY_CONNECTED
from ..reader import Graph, Op
from ..record import Record, channel_weights, pack_fields
from .checks import computed, filter_zero_point, filters, limits, quantised
from .conv_2d import factors


def lower(graph: Graph, op: Op) -> Record:
    """The record of FULLY_CONNECTED."""
    source = computed(graph, op, op.inputs[0])
    target = quantised(graph, op, op.outputs[0])
    weights = filters(graph, op, op.inputs[1], rank=2, axis=0)
    assert weights.data is not None
    if op.options.weightsFormat != schema.FullyConnectedOptionsWeightsFormat.DEFAULT:
        raise graph.fault(op, op.inputs[1], "shuffled weights are not supported")
    out_n, in_n = weights.shape
    rows, rest = divmod(source.elements, in_n)
    if rest or target.elements != rows * out_n:
        raise graph.fault(
            op, op.inputs[0], f"{source.elements} values do not divide into rows of {in_n}"
        )
    low, high = limits(graph, op)
    body = pack_fields(
        graph,
        op,
        "3I5hH",
        rows,
        in_n,
        out_n,
        int(source.zero_point[0]),
        int(target.zero_point[0]),
        low,
        high,
        filter_zero_point(weights),
        0,
    )
    if len(weights.scale) > 1:
        scales = factors(graph, op, out_n)
    else:
        # One scale: TFLite multiplies the two in float32 first.
        product = float(source.scale[0]) * float(weights.scale[0])
        scales = [float(product) / float(target.scale[0])] * out_n
    bias = op.inputs[2] if len(op.inputs) > 2 else -1
    packed = channel_weights(graph, op, weights.data, bias, scales)
    return Record(
        FULLY_CONNECTED, op.kind, (op.inputs[0],), op.outputs[0], body, rows * in_n * out_n, packed
    )


LOWERS = {"FULLY_CONNECTED": lower}

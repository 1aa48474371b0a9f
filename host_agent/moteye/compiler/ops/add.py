"""ADD of two computed tensors of one shape."""

from ..quantize import quantize_multiplier
from ..reader import Graph, Op
from ..record import ADD, Record, pack_fields
from .checks import computed, limits, quantised

_LEFT_SHIFT = 20  # headroom that both inputs get before they are scaled down


def lower(graph: Graph, op: Op) -> Record:
    """The record of ADD."""
    a, b = (computed(graph, op, index) for index in op.inputs)
    out = quantised(graph, op, op.outputs[0])
    if a.shape != b.shape or a.shape != out.shape:
        raise graph.fault(
            op, op.inputs[1], f"broadcasting {list(b.shape)} to {list(a.shape)} is not supported"
        )
    common = 2 * max(float(a.scale[0]), float(b.scale[0]))
    a_factor = quantize_multiplier(float(a.scale[0]) / common)
    b_factor = quantize_multiplier(float(b.scale[0]) / common)
    out_factor = quantize_multiplier(common / ((1 << _LEFT_SHIFT) * float(out.scale[0])))
    if out_factor[1] > 0:
        raise graph.fault(op, op.outputs[0], "its scale is too small for those of the inputs")
    zero_points = (int(tensor.zero_point[0]) for tensor in (a, b, out))
    body = pack_fields(
        graph,
        op,
        "I3i4h3h2h3H",
        a.elements,
        a_factor[0],
        b_factor[0],
        out_factor[0],
        a_factor[1],
        b_factor[1],
        out_factor[1],
        _LEFT_SHIFT,
        *zero_points,
        *limits(graph, op),
        0,
        0,
        0,
    )
    return Record(ADD, op.kind, tuple(op.inputs), op.outputs[0], body, in_place=True)

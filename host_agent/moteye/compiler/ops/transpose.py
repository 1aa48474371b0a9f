"""TRANSPOSE that really moves bytes."""

from ..reader import Graph, Op
from ..record import TRANSPOSE, Record, pack_fields
from .checks import computed, constant, quantised


def lower(graph: Graph, op: Op) -> Record:
    """The record of TRANSPOSE."""
    source = computed(graph, op, op.inputs[0])
    if not source.same_quantisation(quantised(graph, op, op.outputs[0])):
        raise graph.fault(op, op.outputs[0], "needs the quantisation of its input")
    axes = constant(graph, op, op.inputs[1]).tolist()
    rank = len(source.shape)
    if rank > 4 or sorted(axes) != list(range(rank)):
        raise graph.fault(
            op, op.inputs[1], f"axes {axes} of a tensor of rank {rank}; needs rank <= 4"
        )
    lead = 4 - rank
    dims = [1] * lead + list(source.shape)
    order = list(range(lead)) + [axis + lead for axis in axes]
    body = pack_fields(graph, op, "4H4B", *dims, *order)
    return Record(TRANSPOSE, op.kind, (op.inputs[0],), op.outputs[0], body)

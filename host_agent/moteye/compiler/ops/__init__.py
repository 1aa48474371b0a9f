"""Lowering, one file an operator.

A new operator: a file here, a line in REGISTRY, a record kind, a kernel.
"""

from collections.abc import Callable

from ..reader import Graph, Op
from ..record import Record
from . import (
    add,
    conv_2d,
    depthwise_conv_2d,
    fully_connected,
    mean,
    pad,
    pool_2d,
    softmax,
    transpose,
)

REGISTRY: dict[str, Callable[[Graph, Op], Record]] = {
    "ADD": add.lower,
    "AVERAGE_POOL_2D": pool_2d.lower,
    "CONV_2D": conv_2d.lower,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d.lower,
    "FULLY_CONNECTED": fully_connected.lower,
    "MAX_POOL_2D": pool_2d.lower,
    "MEAN": mean.lower,
    "PAD": pad.lower,
    "SOFTMAX": softmax.lower,
    "TRANSPOSE": transpose.lower,
}


def lower_op(graph: Graph, op: Op) -> Record:
    """The record of one operator.

    Raises ModelError for one that is not in the registry, or not in a form that can be run.
    """
    lower = REGISTRY.get(op.kind)
    if lower is None:
        known = ", ".join(sorted(REGISTRY))
        raise graph.fault(op, op.outputs[0], f"operator not supported (supported: {known})")
    return lower(graph, op)

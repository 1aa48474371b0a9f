"""Graph rewrites before lowering. Each keeps every output bit; the unproven is left alone."""

import numpy as np

from .quantize import activation_range
from .reader import Graph, Op

_SAME_BYTES = {"RESHAPE", "SQUEEZE", "EXPAND_DIMS"}
_ACTIVATIONS = {"RELU": "RELU", "RELU6": "RELU6", "RELU_N1_TO_1": "RELU_N1_TO_1"}
_CAN_CLAMP = {
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "ADD",
    "SUB",
    "MUL",
    "AVERAGE_POOL_2D",
    "MAX_POOL_2D",
}
_CAN_PAD = {"CONV_2D", "DEPTHWISE_CONV_2D"}


def run_passes(graph: Graph) -> None:
    """All of them, in place."""
    strip_float_ends(graph)
    fold_views(graph)
    fold_activations(graph)
    fold_pads(graph)


def strip_float_ends(graph: Graph) -> None:
    """QUANTIZE of a float input and DEQUANTIZE to a float output are left to the caller."""
    readers = list(graph.readers(graph.input))
    if len(readers) == 1 and readers[0].kind == "QUANTIZE" and _is_float(graph, graph.input):
        graph.input = readers[0].outputs[0]
        graph.ops.remove(readers[0])
    producer = _producer(graph, graph.output)
    if producer and producer.kind == "DEQUANTIZE" and _is_float(graph, graph.output):
        graph.output = producer.inputs[0]
        graph.ops.remove(producer)


def _is_float(graph: Graph, index: int) -> bool:
    return graph.tensors[index].dtype == "FLOAT32"


def _moves_only_units(graph: Graph, op: Op) -> bool:
    shape = graph.tensors[op.inputs[0]].shape
    axes = graph.tensors[op.inputs[1]].data
    if axes is None:
        return False
    kept = [int(axis) for axis in axes if shape[int(axis)] != 1]
    return kept == sorted(kept)


def fold_views(graph: Graph) -> None:
    """Operators that only rename bytes become no operator: the output shares the input's storage.

    TFLite copies the bytes too, also where the two ends name another quantisation.
    """
    kept = []
    for op in graph.ops:
        is_view = op.kind in _SAME_BYTES or (
            op.kind == "TRANSPOSE" and _moves_only_units(graph, op)
        )
        if not is_view:
            kept.append(op)
            continue
        source, target = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
        if source.elements != target.elements or source.dtype != target.dtype:
            raise graph.fault(op, op.outputs[0], "changes size or type on the way")
        graph.storage[op.outputs[0]] = op.inputs[0]
    graph.ops = kept


def _producer(graph: Graph, index: int) -> Op | None:
    return next((op for op in graph.ops if index in op.outputs), None)


def _only_reader(graph: Graph, index: int, reader: Op) -> bool:
    shared = index in graph.storage.values() or index == graph.output
    return not shared and all(op is reader for op in graph.readers(index))


def fold_activations(graph: Graph) -> None:
    """A clamp behind an operator that can clamp becomes part of it."""
    for op in list(graph.ops):
        if op.kind not in _ACTIVATIONS:
            continue
        source, target = op.inputs[0], op.outputs[0]
        producer = _producer(graph, source)
        foldable = (
            producer is not None and producer.kind in _CAN_CLAMP and _only_reader(graph, source, op)
        )
        same = graph.tensors[source].same_quantisation(graph.tensors[target])
        if producer is None or not foldable or not same:
            continue  # it becomes a table of its own
        low, high = activation_range(_ACTIVATIONS[op.kind], graph.tensors[target])
        producer.clamp = (max(producer.clamp[0], low), min(producer.clamp[1], high))
        producer.outputs = [target]
        graph.ops.remove(op)


def _border(graph: Graph, op: Op) -> tuple[int, int, int, int] | None:
    """(top, left, bottom, right) of a PAD that adds only zero-point rows and columns, else None."""
    source, target = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    amounts = graph.tensors[op.inputs[1]].data
    if amounts is None or np.shape(amounts) != (4, 2) or len(op.inputs) != 2:
        return None
    if not source.same_quantisation(target) or np.any(amounts[[0, 3]] != 0) or np.any(amounts < 0):
        return None
    (top, bottom), (left, right) = amounts[1].tolist(), amounts[2].tolist()
    return top, left, bottom, right


def fold_pads(graph: Graph) -> None:
    """A PAD that only convolutions read becomes their padding.

    The border holds the zero point either way.
    """
    for op in list(graph.ops):
        if op.kind != "PAD":
            continue
        border = _border(graph, op)
        padded = op.outputs[0]
        readers = list(graph.readers(padded))
        shared = padded in graph.storage.values() or padded == graph.output
        if (
            border is None
            or shared
            or any(r.kind not in _CAN_PAD or r.inputs[0] != padded for r in readers)
        ):
            continue
        for reader in readers:
            reader.pad = border
            reader.inputs[0] = op.inputs[0]
        graph.ops.remove(op)

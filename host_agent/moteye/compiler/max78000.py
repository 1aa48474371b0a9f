"""The limits of the MAX78000's CNN accelerator, operator by operator.

Source: "Limitations of MAX78000 Networks" in the README of analogdevicesinc/ai8x-synthesis.
"""

import math
from collections.abc import Iterator

from ai_edge_litert import schema_py_generated as schema

from .reader import Graph, Op

PROCESSORS = 64
KERNELS_PER_PROCESSOR = 768  # of 3x3 weights; a 1x1 kernel takes a ninth
MAX_LAYERS = 32
MAX_CHANNELS = 1024
MAX_BIASED_CHANNELS = 512
MAX_SIDE = 1023
PIXELS_PER_CHANNEL = (
    8_192  # of one channel in an instance of data memory, rows of interleaved bytes
)
INPUT_PIXELS_PER_CHANNEL = 32_768  # of an input that is stored channel by channel
FLATTEN_LIMIT, FLATTEN_PIXELS = 16_384, 256
SHOWN_CHARS = 60  # of a tensor's name

_FREE = {
    "RESHAPE",
    "SQUEEZE",
    "EXPAND_DIMS",
    "PAD",
    "RELU",
}  # folded into a layer, or no bytes move
_LAYERS = {"CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN"}
Found = tuple[str, bool, str]


def check(graph: Graph) -> list[Found]:
    """(what, fits, text) for operators, layers, weight and data memory."""
    found: list[Found] = [("operators", False, text) for text in _grouped(graph)]
    if not found:
        found.append(("operators", True, f"all {len(graph.ops)} map"))
    # A pooling in front of a convolution is part of that layer.
    layers = sum(op.kind in ("CONV_2D", "FULLY_CONNECTED", "ADD", "SUB") for op in graph.ops)
    found.append(("layers", layers <= MAX_LAYERS, f"{layers} of {MAX_LAYERS}"))
    kernels = math.ceil(sum(_kernels(graph, op) for op in graph.ops))
    text = (
        f"{kernels:,} of {KERNELS_PER_PROCESSOR:,} 3x3 kernels in each of {PROCESSORS} processors"
    )
    found.append(("weights", kernels <= KERNELS_PER_PROCESSOR, text))
    return [*found, *_data(graph)]


def _grouped(graph: Graph) -> Iterator[str]:
    """Each fault once, with how often it occurs and the first tensor that has it."""
    tensors: dict[tuple[str, str], list[str]] = {}
    for op in graph.ops:
        name = graph.tensors[op.outputs[0]].name if op.outputs else "-"
        for reason in _reasons(graph, op):
            tensors.setdefault((op.kind, reason), []).append(name)
    for (kind, reason), names in tensors.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield f"{kind}: {reason} (tensor {names[0][:SHOWN_CHARS]!r}{more})"


def _reasons(graph: Graph, op: Op) -> Iterator[str]:
    """Why an operator does not map; nothing where it does."""
    if op.kind in _FREE:
        return
    if op.kind not in _LAYERS:
        yield "the accelerator has no such operator"
        return
    shape = graph.tensors[op.outputs[0]].shape
    source = graph.tensors[op.inputs[0]].shape
    if shape[-1] > MAX_CHANNELS or source[-1] > MAX_CHANNELS:
        yield f"{max(shape[-1], source[-1])} channels; at most {MAX_CHANNELS}"
    biased = len(op.inputs) > 2 and op.inputs[2] != -1
    if op.kind in ("CONV_2D", "FULLY_CONNECTED") and biased and shape[-1] > MAX_BIASED_CHANNELS:
        yield f"a bias for {shape[-1]} channels; at most {MAX_BIASED_CHANNELS}"
    if op.kind == "CONV_2D":
        yield from _convolution(graph, op)
    elif op.kind in ("MAX_POOL_2D", "AVERAGE_POOL_2D"):
        yield from _pooling(op)
    elif op.kind == "FULLY_CONNECTED" and len(source) == 4:
        pixels, total = source[1] * source[2], math.prod(source[1:])
        if pixels > FLATTEN_PIXELS or total > FLATTEN_LIMIT:
            yield (
                f"flattens {total:,} values of {pixels} pixels; "
                f"at most {FLATTEN_LIMIT:,} of {FLATTEN_PIXELS}"
            )


def _convolution(graph: Graph, op: Op) -> Iterator[str]:
    _, height, width, per_group = graph.tensors[op.inputs[1]].shape
    if (height, width) not in ((1, 1), (3, 3)):
        yield f"a kernel of {height}x{width}; 1x1 and 3x3 are there"
    if (op.options.strideH, op.options.strideW) != (1, 1):
        yield f"stride {op.options.strideH}x{op.options.strideW}; only 1, so pool in front of it"
    if (op.options.dilationHFactor, op.options.dilationWFactor) != (1, 1):
        yield "dilation; there is none"
    if per_group != graph.tensors[op.inputs[0]].shape[-1]:
        yield "groups; there are none"


def _pooling(op: Op) -> Iterator[str]:
    sides = (op.options.filterHeight, op.options.filterWidth)
    strides = (op.options.strideH, op.options.strideW)
    if not all(1 <= side <= 16 for side in (*sides, *strides)):
        yield f"pools {sides[0]}x{sides[1]} at stride {strides[0]}x{strides[1]}; 1 to 16"
    if op.options.padding == schema.Padding.SAME and sides != strides:
        yield "pools with padding; there is none"


def _kernels(graph: Graph, op: Op) -> float:
    """3x3 kernels of each processor that a layer takes."""
    if op.kind not in ("CONV_2D", "FULLY_CONNECTED"):
        return 0
    shape = graph.tensors[op.inputs[1]].shape
    outputs, inputs = shape[0], shape[-1]
    share = 1 if len(shape) == 4 and shape[1:3] == (3, 3) else 1 / 9
    return math.ceil(inputs / PROCESSORS) * outputs * share


def _data(graph: Graph) -> Iterator[Found]:
    """The largest picture of one channel: the input's, and any other's."""
    for index in [graph.input, *(op.outputs[0] for op in graph.ops)]:
        shape = graph.tensors[index].shape
        if len(shape) != 4:
            continue
        limit = INPUT_PIXELS_PER_CHANNEL if index == graph.input else PIXELS_PER_CHANNEL
        pixels = shape[1] * shape[2]
        # A layer's own pooling comes first, so only what is written counts; the input always does.
        if max(shape[1:3]) > MAX_SIDE or pixels > limit:
            text = (
                f"tensor {graph.tensors[index].name!r}: {pixels:,} pixels a channel; {limit:,} fit"
            )
            yield ("data", False, text)
            return
    yield ("data", True, f"every channel fits its instance of {PIXELS_PER_CHANNEL:,} bytes")

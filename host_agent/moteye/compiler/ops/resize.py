"""RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR: for each row and column, what it lies between."""

import numpy as np

from ..kinds import RESIZE
from ..reader import Graph, Op
from ..record import Constant, Record, pack_fields
from .checks import computed, image, quantised

_ONE = 1024  # weights are in 1/1,024
Place = tuple[int, int, int]


def _nearest(size: int, target: int, options: object) -> list[Place]:
    """In float32, as TFLite computes it."""
    align = getattr(options, "alignCorners", False) and target > 1
    scale = np.float32(size - 1 if align else size) / np.float32(target - 1 if align else target)
    half = bool(getattr(options, "halfPixelCenters", False))
    places = []
    for i in range(target):
        at = (np.float32(i) + np.float32(0.5 if half else 0)) * scale
        rounded = np.floor(at + np.float32(0.5)) if getattr(options, "alignCorners", False) else at
        index = max(min(int(np.floor(rounded)), size - 1), 0)
        places.append((index, index, 0))
    return places


def _bilinear(size: int, target: int, options: object) -> list[Place]:
    """In integers of 1/1,024 pixel."""
    scale = (_ONE * size + target // 2) // target
    if getattr(options, "alignCorners", False) and target > 1:
        scale = (_ONE * (size - 1) + (target - 1) // 2) // (target - 1)
    half = bool(getattr(options, "halfPixelCenters", False))
    places = []
    for i in range(target):
        at = i * scale + (scale // 2 - _ONE // 2 if half else 0)
        first = max(at // _ONE, 0)
        second = min(-(-at // _ONE), size - 1)
        first = min(first, size - 1)
        places.append((first, second, 0 if first >= second else at - _ONE * first))
    return places


def lower(graph: Graph, op: Op) -> Record:
    """The record of a resize."""
    source, target = computed(graph, op, op.inputs[0]), quantised(graph, op, op.outputs[0])
    if not source.same_quantisation(target):
        raise graph.fault(op, op.outputs[0], "needs the quantisation of its input")
    bilinear = op.kind == "RESIZE_BILINEAR"
    if bilinear and source.unsigned:
        raise graph.fault(op, op.inputs[0], "is UINT8, which TFLite resizes in floats; needs INT8")
    in_h, in_w, channels = image(graph, op, op.inputs[0])
    out_h, out_w, out_c = image(graph, op, op.outputs[0])
    if out_c != channels:
        raise graph.fault(op, op.outputs[0], f"has {out_c} channels, the input {channels}")
    find = _bilinear if bilinear else _nearest
    places = [*find(in_h, out_h, op.options), *find(in_w, out_w, op.options)]
    body = pack_fields(graph, op, "6H", in_h, in_w, channels, out_h, out_w, 0)
    constant = Constant(np.array(places, "<u2").tobytes())
    return Record(RESIZE, op.kind, (op.inputs[0],), op.outputs[0], body, constants=(constant,))


LOWERS = {"RESIZE_BILINEAR": lower, "RESIZE_NEAREST_NEIGHBOR": lower}

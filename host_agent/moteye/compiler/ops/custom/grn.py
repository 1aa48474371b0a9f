"""MoteyeGrn: global response normalisation; inputs x int8, gamma and beta FLOAT32 [channels]."""

import numpy as np
from numpy.typing import NDArray

from ...kinds import GRN
from ...reader import Graph, Op
from ...record import Constant, Record, pack_fields
from ..checks import computed, image, quantised

_MAX_CHANNELS, _MAX_PIXELS = 2048, 65536
_MAX_RATIO, _MAX_GAMMA, _MAX_BIAS = 1 << 22, 1 << 30, 1 << 29  # Q16


def _q16(
    graph: Graph, op: Op, index: int, channels: int, scale: float, most: int
) -> NDArray[np.int32]:
    tensor = graph.tensors[index]
    if tensor.dtype != "FLOAT32" or tensor.data is None or tensor.elements != channels:
        raise graph.fault(op, index, f"needs a constant FLOAT32 of {channels} entries")
    values = np.rint(tensor.data.reshape(-1).astype(np.float64) / scale * 65536)
    if not np.all(np.abs(values) <= most):
        raise graph.fault(op, index, f"holds a number beyond ±{most / 65536 * scale:g}")
    return values.astype("<i4")


def lower(graph: Graph, op: Op) -> Record:
    """The record of a MoteyeGrn."""
    if len(op.inputs) != 3:
        raise graph.fault(op, op.outputs[0], f"has {len(op.inputs)} inputs; needs x, gamma, beta")
    source, target = computed(graph, op, op.inputs[0]), quantised(graph, op, op.outputs[0])
    height, width, channels = image(graph, op, op.inputs[0])
    if target.shape != source.shape:
        raise graph.fault(op, op.outputs[0], "needs the shape of its input")
    if channels > _MAX_CHANNELS or height * width > _MAX_PIXELS:
        most = f"{_MAX_CHANNELS} channels and {_MAX_PIXELS} places"
        raise graph.fault(op, op.inputs[0], f"is too large; {most} are supported")
    in_scale, out_scale = float(source.scale[0]), float(target.scale[0])
    ratio = round(in_scale / out_scale * 65536)
    if not 1 <= ratio <= _MAX_RATIO:
        raise graph.fault(op, op.outputs[0], "has a scale too far from the input's")
    gamma = _q16(graph, op, op.inputs[1], channels, 1.0, _MAX_GAMMA)
    bias = _q16(graph, op, op.inputs[2], channels, out_scale, _MAX_BIAS)
    zero_points = int(source.zero_point[0]), int(target.zero_point[0])
    body = pack_fields(
        graph, op, "IHhihH", height * width, channels, zero_points[0], ratio, zero_points[1], 0
    )
    constants = (Constant(gamma.tobytes()), Constant(bias.tobytes()))
    return Record(
        GRN, op.kind, (op.inputs[0],), op.outputs[0], body, in_place=True, constants=constants
    )


LOWERS = {"MoteyeGrn": lower}

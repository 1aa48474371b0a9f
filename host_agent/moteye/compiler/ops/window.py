"""The geometry that convolutions and poolings share: `window_2d_t` of device/kernels."""

from dataclasses import dataclass

from ai_edge_litert import schema_py_generated as schema

from ..reader import Graph, Op
from ..record import pack_fields
from .checks import image, limits

_LAYOUT = "14H4hHh"


@dataclass(frozen=True)
class Window:
    """Kernel side and dilation; strides and padding come from the operator's options."""

    kernel: tuple[int, int]
    dilation: tuple[int, int] = (1, 1)
    depth_multiplier: int = 0
    filter_zero_point: int = 0  # average pooling: 1 rounds halves up


def _along(
    graph: Graph, op: Op, size: int, kernel: int, stride: int, dilation: int, border: int
) -> tuple[int, int]:
    """(output size, padding in front) along one axis; `size` includes a PAD's `border`."""
    if stride < 1 or dilation < 1 or kernel < 1:
        raise graph.fault(op, op.outputs[0], "stride, dilation and kernel must be positive")
    reach = (kernel - 1) * dilation + 1
    if op.options.padding == schema.Padding.SAME:
        out = -(-size // stride)
        return out, border + max((out - 1) * stride + reach - size, 0) // 2
    return (size + stride - reach) // stride, border


def pack_window(graph: Graph, op: Op, window: Window) -> tuple[bytes, int]:
    """(bytes of window_2d_t, output elements). Raises ModelError when the shapes disagree."""
    in_h, in_w, in_c = image(graph, op, op.inputs[0])
    out_h, out_w, out_c = image(graph, op, op.outputs[0])
    top, left, bottom, right = op.pad
    stride_h, stride_w = op.options.strideH, op.options.strideW
    want_h, pad_top = _along(
        graph, op, in_h + top + bottom, window.kernel[0], stride_h, window.dilation[0], top
    )
    want_w, pad_left = _along(
        graph, op, in_w + left + right, window.kernel[1], stride_w, window.dilation[1], left
    )
    if (want_h, want_w) != (out_h, out_w):
        raise graph.fault(
            op, op.outputs[0], f"is {out_h}x{out_w}, but follows as {want_h}x{want_w}"
        )
    zero_points = (
        int(graph.tensors[index].zero_point[0]) for index in (op.inputs[0], op.outputs[0])
    )
    body = pack_fields(
        graph,
        op,
        _LAYOUT,
        in_h,
        in_w,
        in_c,
        out_h,
        out_w,
        out_c,
        *window.kernel,
        stride_h,
        stride_w,
        *window.dilation,
        pad_top,
        pad_left,
        *zero_points,
        *limits(graph, op),
        window.depth_multiplier,
        window.filter_zero_point,
    )
    return body, out_h * out_w * out_c

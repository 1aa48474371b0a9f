"""Random layers, by name: four-dimensional tensors in, four-dimensional tensors out."""

from collections.abc import Callable

import numpy as np
import tflite_layers as layers
from tflite_builder import ACTIVATION, OP, NetBuilder

_TABLES = (OP.LOGISTIC, OP.TANH, OP.HARD_SWISH, OP.RELU, OP.RELU6, OP.LEAKY_RELU, OP.QUANTIZE)
_UNSIGNED_TABLES = (OP.LOGISTIC, OP.TANH, OP.HARD_SWISH, OP.RELU, OP.RELU6, OP.QUANTIZE)


def _choose(net: NetBuilder, *choices: int) -> int:
    return int(net.rng.choice(choices))


def _arithmetic(net: NetBuilder, x: int) -> int:
    """With a tensor of its shape, of one value a channel, or with a constant; either way round."""
    rng, (_, h, w, c) = net.rng, net.shape(x)
    match rng.integers(4):
        case 0:
            y = net.conv(x, c)
        case 1:
            y = net.pool(x, OP.AVERAGE_POOL_2D, (h, w), (1, 1), 1)
        case 2:
            y = layers.constant(net, (1, 1, 1, c) if rng.random() < 0.5 else (c,))
        case _:
            y = layers.constant(net, () if rng.random() < 0.3 else (1, h, w, 1))
    activation = _choose(net, ACTIVATION.NONE, ACTIVATION.RELU, ACTIVATION.RELU6)
    pair = (x, y) if rng.random() < 0.5 else (y, x)
    return layers.arithmetic(net, _choose(net, OP.ADD, OP.SUB, OP.MUL), *pair, activation)


def _table(net: NetBuilder, x: int) -> int:
    return layers.unary(net, _choose(net, *(_UNSIGNED_TABLES if net.unsigned else _TABLES)), x)


def _attention(net: NetBuilder, x: int) -> int:
    """Squeeze and excite: a weight for each channel."""
    _, h, w, c = net.shape(x)
    y = net.conv(net.pool(x, OP.AVERAGE_POOL_2D, (h, w), (1, 1), 1), c)
    return layers.arithmetic(net, OP.MUL, x, layers.unary(net, OP.LOGISTIC, y))


def _concatenation(net: NetBuilder, x: int) -> int:
    axis = int(net.rng.integers(1, 4))
    others = [x, net.relu(x, OP.RELU), x][: int(net.rng.integers(1, 4))]
    return layers.concatenation(net, others, axis - _choose(net, 0, 4))


def _split(net: NetBuilder, x: int) -> int:
    """Taken apart along an axis and put together in another order."""
    rng = net.rng
    axis = int(rng.integers(1, 4))
    side = net.shape(x)[axis]
    if side < 2:
        return _table(net, x)
    first = int(rng.integers(1, side))
    sizes = [side // 2] * 2 if side % 2 == 0 and rng.random() < 0.5 else [first, side - first]
    parts = layers.split(net, x, axis, sizes)
    return layers.concatenation(net, parts[::-1], axis)


def _slice(net: NetBuilder, x: int) -> int:
    rng, spans = net.rng, [slice(None)]
    for side in net.shape(x)[1:]:
        step = _choose(net, 1, 1, 2, -1, -2)
        low = int(rng.integers(0, side))
        high = int(rng.integers(low + 1, side + 1))
        if step < 0:
            spans.append(slice(high - 1, low - 1 if low else None, step))
        else:
            spans.append(slice(low or None, high - side if high < side else None, step))
    return layers.strided_slice(net, x, spans)


def _corner(net: NetBuilder, x: int) -> int:
    begin = [0, *(int(net.rng.integers(0, side)) for side in net.shape(x)[1:])]
    sizes = [-1 if net.rng.random() < 0.5 else 1 for _ in begin]
    return layers.slice_(net, x, begin, sizes)


def _stack(net: NetBuilder, x: int) -> int:
    """PACK and UNPACK: the planes of an axis in reverse."""
    axis = int(net.rng.integers(1, 4))
    return layers.pack(net, layers.unpack(net, x, axis)[::-1], axis)


def _resize(net: NetBuilder, x: int) -> int:
    rng = net.rng
    size = int(rng.integers(1, 24)), int(rng.integers(1, 24))
    code = OP.RESIZE_NEAREST_NEIGHBOR
    if not net.unsigned and rng.random() < 0.5:
        code = OP.RESIZE_BILINEAR
    way = int(rng.integers(3))
    return layers.resize(net, code, x, size, way == 1, way == 2)


def _pad(net: NetBuilder, x: int) -> int:
    """PADV2, or PAD of a lower rank."""
    shape = net.shape(x)
    if net.rng.random() < 0.5:
        border = [[0, 0], *([int(n) for n in net.rng.integers(0, 3, 2)] for _ in range(3))]
        return layers.pad_v2(net, x, border)
    padded = layers.pad_v2(net, net.reshape(x, list(shape[1:])), [[1, 0], [0, 2], [1, 1]])
    return net.reshape(padded, [1, *net.shape(padded)])


def _mean(net: NetBuilder, x: int) -> int:
    axes = sorted({int(n) for n in net.rng.integers(1, 4, 2)})
    return net.mean(x, axes, keep=True, same_scale=net.rng.random() < 0.3)


def _transpose(net: NetBuilder, x: int) -> int:
    order = np.roll([1, 2, 3], int(net.rng.integers(3)))
    return net.transpose(x, [0, *order.tolist()])


EXTRA_LAYERS: dict[str, Callable[[NetBuilder, int], int]] = {
    "arithmetic": _arithmetic,
    "attention": _attention,
    "concatenation": _concatenation,
    "corner": _corner,
    "mean": _mean,
    "padv2": _pad,
    "resize": _resize,
    "roll": _transpose,
    "slice": _slice,
    "split": _split,
    "stack": _stack,
    "table": _table,
}

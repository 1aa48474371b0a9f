"""Seeded random nets over every operator of the runtime."""

import numpy as np
from random_layers import EXTRA_LAYERS
from tflite_builder import ACTIVATION, OP, PADDING, NetBuilder

_ACTIVATIONS = [
    ACTIVATION.NONE,
    ACTIVATION.NONE,
    ACTIVATION.RELU,
    ACTIVATION.RELU6,
    ACTIVATION.RELU_N1_TO_1,
]


def _window(net: NetBuilder, source: int, dilated: bool) -> dict:
    """Kernel, stride, dilation and padding that leave at least one output."""
    rng, (_, h, w, _) = net.rng, net.shape(source)
    kernel = tuple(int(rng.integers(1, min(side, 7) + 1)) for side in (h, w))
    dilation = (1, 1)
    if dilated and rng.random() < 0.25:
        widest = [
            max((side - 1) // max(k - 1, 1), 1) for side, k in zip((h, w), kernel, strict=True)
        ]
        dilation = tuple(int(rng.integers(1, most + 1)) for most in widest)
    strided = rng.random() < 0.4 and dilation == (1, 1)
    stride = tuple(int(side) for side in rng.integers(1, 4, 2)) if strided else (1, 1)
    window = {
        "kernel": kernel,
        "stride": stride,
        "padding": int(rng.choice([PADDING.SAME, PADDING.VALID])),
    }
    return window | ({"dilation": dilation} if dilated else {})


def _layer(net: NetBuilder, x: int) -> int:
    rng = net.rng
    activation = int(rng.choice(_ACTIVATIONS))
    weighted = {"activation": activation, "per_channel": rng.random() < 0.8}
    layer = str(
        rng.choice(
            [
                "conv",
                "conv",
                "1x1",
                "dw",
                "dw",
                "residual",
                "pad",
                "max",
                "average",
                "transpose",
                "relu",
                *EXTRA_LAYERS,
            ]
        )
    )
    if layer in EXTRA_LAYERS:
        return EXTRA_LAYERS[layer](net, x)
    match layer:
        case "conv":
            return net.conv(x, int(rng.integers(1, 40)), **_window(net, x, True), **weighted)
        case "1x1":
            return net.conv(x, int(rng.integers(1, 140)), **weighted)
        case "dw":
            multiplier = int(rng.choice([1, 1, 2, 3])) if net.shape(x)[3] < 60 else 1
            return net.depthwise(
                x, multiplier, **_window(net, x, True), **weighted, bias=rng.random() < 0.8
            )
        case "residual":
            y = net.conv(x, net.shape(x)[3], kernel=(3, 3), **weighted)
            return net.add(x, y, activation)
        case "pad":
            border = [[int(n) for n in rng.integers(0, 3, 2)] for _ in range(2)]
            channels = [int(n) for n in rng.integers(0, 3, 2)] if rng.random() < 0.3 else [0, 0]
            padded = net.pad(x, [[0, 0], *border, channels])
            if rng.random() < 0.3:
                return padded
            valid = {"kernel": (3, 3), "padding": PADDING.VALID}
            if min(net.shape(padded)[1:3]) < 3:
                valid["padding"] = PADDING.SAME
            if rng.random() < 0.5:
                return net.conv(padded, int(rng.integers(1, 20)), **valid, **weighted)
            return net.depthwise(padded, **valid, **weighted)
        case "max":
            return net.pool(x, OP.MAX_POOL_2D, activation=activation, **_window(net, x, False))
        case "average":
            return net.pool(x, OP.AVERAGE_POOL_2D, activation=activation, **_window(net, x, False))
        case "transpose":
            return net.transpose(x, [0, *(1 + rng.permutation(3)).tolist()])
        case _:
            y = net.conv(x, int(rng.integers(1, 20)))
            return net.relu(y, int(rng.choice([OP.RELU, OP.RELU6])))


def _head(net: NetBuilder, x: int) -> int:
    rng, (_, h, w, c) = net.rng, net.shape(x)
    match rng.choice(["mean", "mean", "average", "flat", "none"]):
        case "mean":
            axes = [[1, 2], [2, 1], [1], [2], [3]][int(rng.integers(5))]
            x = net.mean(x, axes, keep=rng.random() < 0.5, same_scale=rng.random() < 0.3)
        case "average":
            x = net.pool(x, OP.AVERAGE_POOL_2D, (h, w), (1, 1), PADDING.VALID)
        case "flat":
            x = net.reshape(x, [1, h * w * c])
            return net.fully_connected(x, int(rng.integers(1, 90)))
        case _:
            return x
    for _ in range(int(rng.integers(0, 3))):
        x = net.fully_connected(
            x,
            int(rng.integers(1, 90)),
            int(rng.choice(_ACTIVATIONS)),
            rng.random() < 0.3,
            rng.random() < 0.8,
        )
    return (
        net.softmax(x, float(rng.uniform(0.1, 2) / net.scale(x) / 8)) if rng.random() < 0.4 else x
    )


def _stem(net: NetBuilder) -> int:
    """An RGB image and what most nets begin with, which the Cortex-M7 has a way of its own for."""
    rng = net.rng
    h, w, channels = (int(rng.integers(low, high)) for low, high in ((3, 30), (3, 50), (2, 20)))
    x = net.input((1, h, w, 3))
    if rng.random() < 0.3:
        x = net.pad(
            x, [[0, 0], *[[int(n) for n in rng.integers(0, 4, 2)] for _ in range(2)], [0, 0]]
        )
    return net.conv(
        x,
        channels,
        (3, 3),
        (2, 2),
        padding=int(rng.choice([PADDING.SAME, PADDING.VALID])),
        activation=int(rng.choice(_ACTIVATIONS)),
        per_channel=rng.random() < 0.8,
    )


def random_net(seed: int, unsigned: bool = False) -> bytes:
    """One net: one to five layers, mostly a head. The same seed gives the same bytes.

    `unsigned`: of uint8 tensors.
    """
    rng = np.random.default_rng(seed)
    net = NetBuilder(rng, unsigned)
    h, w, c = int(rng.integers(3, 20)), int(rng.integers(3, 20)), int(rng.integers(1, 24))
    x = _stem(net) if seed % 7 == 3 else net.input((1, h, w, c))
    for _ in range(int(rng.integers(1, 6))):
        x = _layer(net, x)
    return net.finish(_head(net, x))


def tiny_encoder(seed: int, side: int = 24, dim: int = 256, **changes: float) -> bytes:
    """A small net with an encoder's ends: input 1/128 and 0, output int8[dim], zero point 0."""
    net = NetBuilder(np.random.default_rng(seed))
    ends = {"scale": 1 / 128, "zero_point": 0, "out_zero_point": 0} | changes
    x = net.input((1, side, side, 3), ends["scale"], ends["zero_point"])
    x = net.conv(x, 16, (3, 3), (2, 2), activation=ACTIVATION.RELU6)
    x = net.depthwise(net.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), padding=PADDING.VALID)
    x = net.add(x, net.conv(x, 16))
    x = net.conv(net.mean(x, [1, 2], keep=True), 64, activation=ACTIVATION.RELU)
    x = net.fully_connected(net.reshape(x, [1, 64]), dim, zero_point=int(ends["out_zero_point"]))
    return net.finish(x)

"""The anchors' networks with seeded random weights: their shapes, and so their instruction counts.

Activations are left out: with a zero point of -128 ReLU and ReLU6 clamp nothing int8 does not.
"""

from collections.abc import Callable

import numpy as np
from tflite_builder import OP, PADDING, NetBuilder


class _Anchor(NetBuilder):
    """Scales that are positive and do not grow from layer to layer: some are 50 deep."""

    def _weights(self, source, shape, axis, terms, per_channel, bias):  # type: ignore[no-untyped-def]
        weights, bias_index, scale = super()._weights(source, shape, axis, terms, per_channel, bias)
        steady = self.scale(source) / scale
        for index in (weights, *bias_index):
            quantization = self.graph.tensors[index].quantization
            quantization.scale = np.abs(quantization.scale) * np.float32(steady)
        return weights, bias_index, scale * steady


def _builder(seed: int, *shape: int) -> tuple[NetBuilder, int]:
    net = _Anchor(np.random.default_rng(seed))
    return net, net.input((1, *shape))


def _kill(net: NetBuilder, output: int, share: float) -> None:
    """Give all-zero weights and a bias far below zero to a share of a convolution's channels."""
    op = next(op for op in net.graph.operators if output in op.outputs)
    weights = net.graph.tensors[int(op.inputs[1])]
    dead = net.rng.random(int(weights.shape[0])) < share
    data = net.model.buffers[weights.buffer].data.copy().reshape(len(dead), -1)
    data[dead] = 0
    net.model.buffers[weights.buffer].data = data.reshape(-1)
    bias = net.model.buffers[net.graph.tensors[int(op.inputs[2])].buffer]
    values = np.frombuffer(bias.data.tobytes(), np.int32).copy()
    values[dead] = -(1 << 26)
    bias.data = np.frombuffer(values.tobytes(), np.uint8)


def _classify(net: NetBuilder, x: int, classes: int) -> int:
    _, h, w, c = net.shape(x)
    x = net.pool(x, OP.AVERAGE_POOL_2D, (h, w), (h, w), PADDING.VALID)
    return net.softmax(net.fully_connected(net.reshape(x, [1, c]), classes))


_V1 = (
    [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2)] + [(128, 1)] * 5 + [(256, 2), (256, 1)]
)


def vww() -> bytes:
    """MobileNetV1 0.25, 96x96x3; about 971 of its 1x1 channels dead, as in MLPerf Tiny's."""
    net, x = _builder(1, 96, 96, 3)
    x = net.conv(x, 8, (3, 3), (2, 2))
    for channels, stride in _V1:
        x = net.conv(net.depthwise(x, stride=(stride, stride)), channels, zero_point=-128)
        _kill(net, x, 0.75 if channels >= 128 else 0.17)
    return net.finish(_classify(net, x, 2))


def person_detect() -> bytes:
    """MobileNetV1 0.25, 96x96x1, whose first layer is a depthwise one of multiplier 8."""
    net, x = _builder(2, 96, 96, 1)
    x = net.depthwise(x, 8, stride=(2, 2))
    for channels, stride in _V1:
        x = net.conv(net.depthwise(x, stride=(stride, stride)), channels)
    return net.finish(_classify(net, x, 2))


def resnet8() -> bytes:
    """ResNet-8 on 32x32x3."""
    net, x = _builder(3, 32, 32, 3)
    x = net.conv(x, 16, (3, 3))
    for channels, stride in [(16, 1), (32, 2), (64, 2)]:
        y = net.conv(x, channels, (3, 3), (stride, stride))
        y = net.conv(y, channels, (3, 3))
        if stride != 1:
            x = net.conv(x, channels, (1, 1), (stride, stride))
        x = net.add(x, y)
    return net.finish(_classify(net, x, 10))


def kws() -> bytes:
    """DS-CNN for keywords, 49x10x1."""
    net, x = _builder(4, 49, 10, 1)
    x = net.conv(x, 64, (10, 4), (2, 2))
    for _ in range(4):
        x = net.conv(net.depthwise(x), 64)
    return net.finish(_classify(net, x, 12))


# expansion, channels, repeats, first stride
_V2 = [
    (1, 8, 1, 1),
    (6, 8, 2, 2),
    (6, 16, 3, 2),
    (6, 24, 4, 2),
    (6, 32, 3, 1),
    (6, 56, 3, 2),
    (6, 112, 1, 1),
]


def mbv2_035_96_cut() -> bytes:
    """MobileNetV2 0.35, 96x96x3, without its last 1x1 convolution to 1280 channels."""
    net, x = _builder(5, 96, 96, 3)
    x = net.conv(x, 16, (3, 3), (2, 2))
    for expansion, channels, repeats, first in _V2:
        for i in range(repeats):
            stride, inner = first if i == 0 else 1, net.shape(x)[3]
            y = net.conv(x, inner * expansion) if expansion > 1 else x
            y = net.conv(net.depthwise(y, stride=(stride, stride)), channels)
            x = net.add(x, y) if stride == 1 and inner == channels else y
    x = net.mean(x, [1, 2], keep=False)
    return net.finish(net.softmax(net.fully_connected(x, 2)))


ANCHORS: dict[str, Callable[[], bytes]] = {
    "vww": vww,
    "person_detect": person_detect,
    "resnet8": resnet8,
    "kws": kws,
    "mbv2_035_96_cut": mbv2_035_96_cut,
}

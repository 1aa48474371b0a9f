"""remove_dead_channels: fewer channels, the same bytes."""

import numpy as np
import pytest
from kernel_library import Kernels
from moteye.compiler import compile_with_report
from reference import Reference
from tflite_builder import ACTIVATION, PADDING, NetBuilder


def _zero(net: NetBuilder, output: int, axis: int, share: float) -> None:
    """All-zero weights for a share of the channels of the operator behind `output`."""
    op = next(op for op in net.graph.operators if output in op.outputs)
    weights = net.graph.tensors[int(op.inputs[1])]
    data = net.model.buffers[weights.buffer].data.copy().reshape(weights.shape)
    dead = net.rng.random(weights.shape[axis]) < share
    np.moveaxis(data, axis, 0)[dead] = 0
    net.model.buffers[weights.buffer].data = data.reshape(-1)


def _net(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    net = NetBuilder(rng)
    x = net.input((1, int(rng.integers(3, 12)), int(rng.integers(3, 12)), int(rng.integers(1, 9))))
    for _ in range(int(rng.integers(1, 4))):
        activation = int(rng.choice([ACTIVATION.NONE, ACTIVATION.RELU6]))
        per_channel = bool(rng.random() < 0.7)
        x = net.conv(x, int(rng.integers(1, 30)), activation=activation, per_channel=per_channel)
        _zero(net, x, 0, float(rng.choice([0.2, 0.8, 1.0])))
        for _ in range(int(rng.integers(0, 3))):
            padding = PADDING.VALID if min(net.shape(x)[1:3]) > 4 else PADDING.SAME
            padding = int(rng.choice([PADDING.SAME, padding]))
            x = net.depthwise(x, padding=padding, activation=activation, per_channel=per_channel)
            _zero(net, x, 3, float(rng.choice([0.0, 0.3])))
        side = 3 if rng.random() < 0.4 else 1
        x = net.conv(x, int(rng.integers(1, 12)), (side, side), activation=activation)
    return net.finish(x)


@pytest.mark.parametrize("first", range(0, 120, 30))
def test_remove_dead_random_nets_equal_reference(kernels: Kernels, first: int) -> None:
    for seed in range(first, first + 30):
        net = _net(seed)
        pack, report = compile_with_report(net, remove_dead=True)
        reference = Reference(net)
        rng = np.random.default_rng(seed)
        for _ in range(2):
            values = rng.integers(-128, 128, reference.shape, dtype=np.int8)
            np.testing.assert_array_equal(
                kernels.open(pack).run(values), reference.run(values), f"net {seed}, {report}"
            )


def test_remove_dead_makes_packs_smaller_and_says_where() -> None:
    smaller = 0
    for seed in range(60):
        net = _net(seed)
        whole, without = compile_with_report(net)[1], compile_with_report(net, remove_dead=True)[1]
        assert (without.macs < whole.macs) == bool(without.removed)
        assert not whole.removed
        smaller += bool(without.removed)
    assert smaller > 30

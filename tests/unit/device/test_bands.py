"""Row streaming: smaller arenas, every output byte the same."""

import numpy as np
import pytest
from kernel_library import Kernels
from moteye.compiler import compile_with_report
from random_nets import random_net
from reference import Reference
from tflite_builder import ACTIVATION, PADDING, NetBuilder

WHOLE = 1 << 40


def chain(seed: int) -> bytes:
    """Expand, depthwise, project, twice, with random kernels, strides and paddings."""
    rng = np.random.default_rng(seed)
    net = NetBuilder(rng)
    x = net.input((1, int(rng.integers(9, 40)), int(rng.integers(3, 12)), int(rng.integers(1, 6))))
    for _ in range(2):
        y = net.conv(x, int(rng.integers(8, 30)), (int(rng.choice([1, 1, 3])), 1))
        height, width = (int(n) for n in rng.choice([1, 2, 3, 5, 7], 2))
        y = net.depthwise(
            y,
            kernel=(height, min(width, net.shape(y)[2])),
            stride=(int(rng.choice([1, 1, 2, 3])),) * 2,
            padding=PADDING.SAME if height > net.shape(y)[1] else int(rng.integers(2)),
            activation=ACTIVATION.RELU6,
        )
        z = net.conv(y, net.shape(x)[3], stride=(int(rng.choice([1, 1, 2])), 1))
        x = net.add(x, z) if net.shape(z) == net.shape(x) else z
    return net.finish(x)


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_streamed_chains_equal_reference(kernels: Kernels, first: int) -> None:
    smaller = 0
    for seed in range(first, first + 20):
        net = chain(seed)
        whole = compile_with_report(net, arena_goal=WHOLE)[1]
        for goal in (0, whole.arena_bytes * 3 // 4):
            pack, report = compile_with_report(net, arena_goal=goal)
            model, reference = kernels.open(pack), Reference(net)
            values = np.random.default_rng(seed).integers(-128, 128, reference.shape, dtype=np.int8)
            np.testing.assert_array_equal(model.run(values), reference.run(values), f"{seed}")
            assert report.arena_bytes <= whole.arena_bytes
            assert report.macs <= whole.macs  # rows that nothing reads are not computed
            smaller += report.arena_bytes < whole.arena_bytes
    assert smaller >= 20


def test_streamed_random_nets_equal_reference(kernels: Kernels) -> None:
    for seed in range(300, 340):
        net = random_net(seed)
        pack, _ = compile_with_report(net, arena_goal=0)
        reference = Reference(net)
        values = np.random.default_rng(seed).integers(-128, 128, reference.shape, dtype=np.int8)
        np.testing.assert_array_equal(kernels.open(pack).run(values), reference.run(values), seed)


def test_goal_that_is_met_changes_nothing() -> None:
    net = chain(3)
    whole, report = compile_with_report(net, arena_goal=WHOLE)
    assert compile_with_report(net, arena_goal=report.arena_bytes)[0] == whole


def test_drawing_shows_every_block_where_it_stands() -> None:
    _, report = compile_with_report(chain(5), arena_goal=0)
    drawing = report.drawing
    assert drawing.arena_bytes == report.arena_bytes
    assert drawing.peak()[0] == report.live_peak_bytes
    for block in drawing.blocks:
        assert block.offset + block.size <= report.arena_bytes
    text, svg = drawing.text(), drawing.svg()
    assert text.count("\n") == len(drawing.blocks) + 1
    assert f"arena {report.arena_bytes:,} bytes" in text
    assert svg.count("<title>") == len(drawing.blocks)

"""`moteye model check`: what fits a board, and by how much the rest does not."""

from pathlib import Path

import numpy as np
import pytest
from moteye.cli.app import app
from moteye.compiler.boards import Board, Finding, boards, check_model
from tflite_builder import OP, PADDING, NetBuilder
from typer.testing import CliRunner

ENCODER = Path(__file__).resolve().parents[3] / "device/models/accurate/encoder.tflite"


def looked_at(found: list[Finding], what: str) -> Finding:
    """The one finding about `what`."""
    (finding,) = [f for f in found if f.what == what]
    return finding


def plain_net(kernel: int = 3, stride: int = 1, channels: int = 8) -> bytes:
    """Convolution, pooling, convolution: what the accelerator can do unless told otherwise."""
    net = NetBuilder(np.random.default_rng(0))
    x = net.conv(net.input((1, 16, 16, 3)), channels, (kernel, kernel), (stride, stride))
    return net.finish(net.conv(net.pool(x, OP.MAX_POOL_2D, (2, 2), (2, 2), PADDING.VALID), 4))


@pytest.mark.parametrize("name", ["stm32h7", "stm32n6", "esp32s3", "rp2350"])
def test_shipped_encoder_fits_each_board_with_a_processor(name: str) -> None:
    found = check_model(ENCODER.read_bytes(), boards()[name], set_bytes=6_554, frame=(160, 120))
    assert [finding.text for finding in found if not finding.fits] == []


def test_memory_that_is_short_says_by_how_much() -> None:
    small = Board("small", "a small board", ram_bytes=200_000, flash_bytes=1_000_000)
    found = check_model(ENCODER.read_bytes(), small, set_bytes=6_554, frame=(160, 120))
    ram, flash = looked_at(found, "RAM"), looked_at(found, "flash")
    assert not ram.fits
    assert "58,980 too many" in ram.text
    assert not flash.fits
    assert "215,593 too many" in flash.text
    assert looked_at(found, "operators").fits


def test_operator_that_no_kernel_runs_is_a_finding() -> None:
    net = NetBuilder(np.random.default_rng(0))
    x = net.input((1, 4, 4, 4))
    out = net.op(OP.SQUARE, [x], net.tensor((1, 4, 4, 4), scale=0.1), 0, None)
    (finding,) = check_model(net.finish(out), boards()["stm32h7"], set_bytes=100, frame=(8, 8))
    assert not finding.fits
    assert "SQUARE" in finding.text


def test_npu_names_what_runs_beside_it() -> None:
    net = NetBuilder(np.random.default_rng(0))
    x = net.conv(net.input((1, 4, 4, 3)), 8, (3, 3), (1, 1))
    x = net.pool(x, OP.AVERAGE_POOL_2D, (4, 4), (1, 1), PADDING.VALID)
    x = net.reshape(x, (1, 8))
    model = net.finish(net.softmax(x))
    on_npu = looked_at(check_model(model, boards()["stm32n6"], set_bytes=9, frame=(8, 8)), "NPU")
    assert on_npu.fits
    assert on_npu.text.endswith("on the processor 1 SOFTMAX by softmax")
    found = check_model(model, boards()["stm32h7"], set_bytes=9, frame=(8, 8))
    assert "NPU" not in [finding.what for finding in found]


def test_shipped_encoder_runs_on_the_npu_as_a_whole() -> None:
    found = check_model(
        ENCODER.read_bytes(), boards()["stm32n6"], set_bytes=6_554, frame=(160, 120)
    )
    assert looked_at(found, "NPU").text == "77 of 77 operators"


def test_max78000_takes_a_plain_network() -> None:
    found = check_model(plain_net(), boards()["max78000"], set_bytes=100, frame=(8, 8))
    assert all(finding.fits for finding in found), found
    assert looked_at(found, "layers").text == "2 of 32"


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (plain_net(stride=2), "stride 2x2"),
        (plain_net(kernel=5), "a kernel of 5x5"),
        (plain_net(channels=1040), "1040 channels; at most 1024"),
    ],
)
def test_max78000_names_what_does_not_map(net: bytes, words: str) -> None:
    found = check_model(net, boards()["max78000"], set_bytes=100, frame=(8, 8))
    assert any(words in f.text and not f.fits for f in found), found


def test_max78000_counts_kernels_and_pixels() -> None:
    net = NetBuilder(np.random.default_rng(0))
    x = net.input((1, 200, 200, 3))
    wide = net.conv(net.conv(x, 512, (1, 1)), 512, (3, 3))
    found = check_model(net.finish(wide), boards()["max78000"], set_bytes=100, frame=(8, 8))
    # 512 outputs of 8 channels a processor, and a ninth of 512 for the 1x1 kernels of 3 channels.
    assert looked_at(found, "weights").text.startswith("4,153 of 768")
    assert "40,000 pixels a channel" in looked_at(found, "data").text


def test_depthwise_fault_is_told_once_with_its_count() -> None:
    found = check_model(ENCODER.read_bytes(), boards()["max78000"], set_bytes=100, frame=(96, 96))
    depthwise = [f.text for f in found if f.text.startswith("DEPTHWISE")]
    assert len(depthwise) == 1
    assert "and 19 more" in depthwise[0]


def test_command_exits_with_the_verdict(tmp_path: Path) -> None:
    runner = CliRunner()
    fits = runner.invoke(app, ["model", "check", str(ENCODER), "--board", "stm32h7"])
    assert fits.exit_code == 0
    assert "fits STM32H743" in fits.stdout
    not_there = runner.invoke(app, ["model", "check", str(ENCODER), "--board", "max78000"])
    assert not_there.exit_code == 1
    assert "does not fit" in not_there.stdout
    unknown = runner.invoke(app, ["model", "check", str(ENCODER), "--board", "stm32"])
    assert unknown.exit_code == 2

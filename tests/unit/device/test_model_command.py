"""`moteye model`: compiled, drawn and measured from the command line."""

from pathlib import Path

import numpy as np
import pytest
from moteye.cli.app import app
from random_nets import tiny_encoder
from tflite_builder import OP, NetBuilder
from typer.testing import CliRunner


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.tflite"
    path.write_bytes(tiny_encoder(1))
    return path


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["model", *map(str, arguments)])
    return result.exit_code, result.output


def test_compile_writes_pack_plan_and_operators(source: Path, tmp_path: Path) -> None:
    pack, svg, listed = (tmp_path / name for name in ("tiny.mpk", "plan.svg", "operators.c"))
    code, output = run(
        "compile", source, "-o", pack, "--show-plan", "--plan-svg", svg, "--operators", listed
    )
    assert code == 0, output
    assert pack.read_bytes()[:4] == b"MEPK"
    assert svg.read_text().startswith("<svg")
    assert "&conv_2d_operator," in listed.read_text()
    assert f"pack {pack.stat().st_size:,} bytes" in output
    assert "most in use at once" in output


def test_compile_of_uint8_says_what_the_ends_became(tmp_path: Path) -> None:
    net = NetBuilder(np.random.default_rng(0), unsigned=True)
    (tmp_path / "a.tflite").write_bytes(net.finish(net.relu(net.input((1, 4, 4, 2)), OP.RELU)))
    code, output = run("compile", tmp_path / "a.tflite", "-o", tmp_path / "a.mpk")
    assert code == 0, output
    assert "input 't0' is UINT8: x - 128" in output


@pytest.mark.parametrize("target", ["cortex-m7", "cortex-m55", "x86"])
def test_bench_measures_a_model_and_each_record(
    source: Path, target: str, capfd: pytest.CaptureFixture[str]
) -> None:
    code, _ = run("bench", source, "--target", target, "--profile")
    output = capfd.readouterr().out
    assert code == 0, output
    assert f"tiny.tflite on {target}: output equal to BUILTIN_REF" in output
    assert ("instructions" in output) == (target != "x86")
    assert output.count("conv_2d 24x24x3 -> 12x12x16 k3x3 s2 62,208") == 1

"""Operators of the project's own, here and on the emulated cores, against their definition."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from custom_reference import adaptive_pool, grn
from kernel_library import ROOT, KernelError, Kernels
from moteye.compiler import ModelError, compile_model
from moteye.compiler.operators import operators_source
from tflite_builder import OP, NetBuilder

sys.path.insert(0, str(ROOT / "tests" / "bench" / "device"))

import image
from cases import ended, model_case

# MOTEYE_NETS: a longer run.
CASES = int(os.environ.get("MOTEYE_NETS", "200"))


def _custom(net: NetBuilder, code: bytes, inputs: list[int], target: int) -> int:
    net.op(OP.CUSTOM, inputs, target, schema.BuiltinOptions.NONE, None)
    net.model.operatorCodes[-1].customCode = code
    return target


def _grn(net: NetBuilder, x: int, values: np.ndarray, wild: bool) -> tuple[int, np.ndarray]:
    """The operator behind x, and what it makes of x's values [H, W, C]."""
    rng, channels = net.rng, values.shape[2]
    size = 10 ** rng.uniform(-2, 3 if wild else 0.5)
    gamma = rng.normal(0, size, channels).astype(np.float32)
    scale, zero_point = float(net.scale(x) * 10 ** rng.uniform(-1, 1)), int(rng.integers(-128, 128))
    beta = np.clip(rng.normal(0, size, channels), -8000 * scale, 8000 * scale).astype(np.float32)
    out = net.tensor(net.shape(x), scale=scale, zero_point=zero_point)
    constants = [net.tensor((channels,), np.float32, data=one) for one in (gamma, beta)]
    _custom(net, b"MoteyeGrn", [x, *constants], out)
    in_scale, out_scale = float(np.float32(net.scale(x))), float(np.float32(scale))
    return out, grn(
        values,
        np.rint(gamma.astype(np.float64) * 65536).astype(np.int64),
        np.rint(beta.astype(np.float64) / out_scale * 65536).astype(np.int64),
        round(in_scale / out_scale * 65536),
        (net.zero_point(x), zero_point),
    )


def _pool(net: NetBuilder, x: int, values: np.ndarray) -> tuple[int, np.ndarray]:
    height, width = (int(side) for side in net.rng.integers(1, 16, 2))
    out = net._like(x, (1, height, width, values.shape[2]))
    _custom(net, b"MoteyeAdaptivePool", [x], out)
    return out, adaptive_pool(values, height, width)


def random_case(seed: int) -> tuple[bytes, np.ndarray, np.ndarray]:
    """A net of one or both operators, its input and its output."""
    rng = np.random.default_rng(seed)
    net = NetBuilder(rng)
    shape = tuple(int(side) for side in rng.integers(1, (14, 14, 70)))
    values = rng.integers(-128, 128, shape).astype(np.int8)
    x = net.input((1, *shape))
    if seed % 10 == 0:  # all of one value, which may be the zero point: nothing to normalise
        values[:] = net.zero_point(x) if seed % 20 else 127
    out, wanted = x, values
    if seed % 3 != 1:
        out, wanted = _grn(net, out, wanted, wild=seed % 5 == 0)
    if seed % 3 != 0:
        out, wanted = _pool(net, out, wanted)
    return net.finish(out), values, wanted


@pytest.fixture(scope="module")
def operators(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The list of a build whose encoder needs both."""
    source = tmp_path_factory.mktemp("operators") / "operators.c"
    source.write_text(operators_source(compile_model(random_case(2)[0])))
    return source


def _cases() -> Iterator[tuple[bytes, np.ndarray, np.ndarray]]:
    for seed in range(CASES):
        net, values, wanted = random_case(seed)
        yield compile_model(net), values, wanted


def test_random_shapes_equal_the_definition(operators: Path) -> None:
    kernels = Kernels(operators)
    for seed, (pack, values, wanted) in enumerate(_cases()):
        found = kernels.open(pack).run(values)
        np.testing.assert_array_equal(found, wanted.reshape(-1), f"seed {seed}")


@pytest.mark.parametrize("core", image.CORES, ids=lambda core: core.name)
def test_random_shapes_on_the_emulated_core_equal_the_definition(
    core: image.Core, operators: Path
) -> None:
    blob = ended(model_case(*one) for one in _cases())
    elf = image.build(core, "custom", "check_models.c", {"cases": blob}, operators=operators)
    assert image.run(core, elf) == {"cases": [CASES]}


def test_normalisation_is_that_of_real_numbers() -> None:
    """Within a step of the output, and 1 in 1,000 of what a factor of 16 bits loses."""
    rng = np.random.default_rng(5)
    x = rng.integers(-128, 128, (7, 9, 40)).astype(np.int8)
    x[..., :20] //= 8
    gamma, beta = rng.normal(0, 0.5, (2, 40))
    in_scale, out_scale, zero_points = 0.03, 0.05, (-7, 12)
    found = grn(
        x,
        np.rint(gamma * 65536).astype(np.int64),
        np.rint(beta / out_scale * 65536).astype(np.int64),
        round(in_scale / out_scale * 65536),
        zero_points,
    )
    real = in_scale * (x.astype(float) - zero_points[0])
    norm = np.sqrt((real**2).sum((0, 1)))
    wanted = (gamma * norm / norm.mean() + 1) * real + beta
    wanted = np.clip(wanted / out_scale + zero_points[1], -128, 127)
    np.testing.assert_allclose(found, wanted, atol=0.6)


def test_builds_link_them_where_their_list_names_them(kernels: Kernels) -> None:
    with pytest.raises(KernelError, match="bad operator"):
        kernels.open(compile_model(random_case(2)[0]))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        ({"gamma": np.zeros(4, np.float32)}, "FLOAT32 of 5 entries"),
        ({"gamma": np.full(5, 1e6, np.float32)}, "beyond"),
        ({"shape": (1, 3, 3, 4)}, "shape of its input"),
        ({"scale": 1e-9}, "too far"),
    ],
)
def test_normalisation_that_cannot_run_is_refused(spoil: dict, says: str) -> None:
    net = NetBuilder(np.random.default_rng(0))
    x = net.input((1, 3, 3, 5))
    out = net.tensor(spoil.get("shape", (1, 3, 3, 5)), scale=spoil.get("scale", 0.1))
    gamma = spoil.get("gamma", np.zeros(5, np.float32))
    constants = [
        net.tensor((len(one),), np.float32, data=one) for one in (gamma, np.zeros(5, np.float32))
    ]
    with pytest.raises(ModelError, match=says):
        compile_model(net.finish(_custom(net, b"MoteyeGrn", [x, *constants], out)))

"""The list of operators: a custom one joins it, and what it leaves out is not linked."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from kernel_library import KERNELS, KernelError, Kernels
from moteye.compiler import ModelError, compile_model
from moteye.compiler.operators import operators_source
from moteye.compiler.ops import REGISTRY, register
from moteye.compiler.reader import Graph, Op
from moteye.compiler.record import CUSTOM, Constant, Record, pack_fields
from random_nets import random_net, tiny_encoder
from tflite_builder import OP, NetBuilder

MASK = 0x2A


def _lower_flip(graph: Graph, op: Op) -> Record:
    body = pack_fields(graph, op, "I", graph.tensors[op.inputs[0]].elements)
    constant = Constant(bytes([MASK]), 1)
    return Record(CUSTOM, op.kind, (op.inputs[0],), op.outputs[0], body, constants=(constant,))


@pytest.fixture
def flip() -> Iterator[None]:
    register("Flip", _lower_flip)
    yield
    del REGISTRY["Flip"]


def _net() -> bytes:
    net = NetBuilder(np.random.default_rng(0))
    x = net.conv(net.input((1, 5, 5, 3)), 4)
    y = net.op(OP.CUSTOM, [x], net._like(x, net.shape(x)), schema.BuiltinOptions.NONE, None)
    net.model.operatorCodes[-1].customCode = b"Flip"
    return net.finish(y)


def _plain() -> bytes:
    net = NetBuilder(np.random.default_rng(0))
    return net.finish(net.conv(net.input((1, 5, 5, 3)), 4))


def _custom_kernels() -> Kernels:
    return Kernels(Path(__file__).with_name("custom_operator.c"))


@pytest.mark.usefixtures("flip")
def test_custom_operator_runs_where_its_kernel_is_listed(kernels: Kernels) -> None:
    pack = compile_model(_net())
    values = np.random.default_rng(1).integers(-128, 128, (5, 5, 3), dtype=np.int8)
    before = kernels.open(compile_model(_plain())).run(values)
    np.testing.assert_array_equal(_custom_kernels().open(pack).run(values), before ^ MASK)
    with pytest.raises(KernelError, match="bad operator"):
        kernels.open(pack)
    with pytest.raises(ModelError, match="custom"):
        operators_source(pack)


def test_custom_operator_that_nobody_registered_is_refused_by_its_code() -> None:
    with pytest.raises(ModelError, match=r"^Flip, tensor 't4': operator not supported"):
        compile_model(_net())


def test_operator_that_is_not_listed_is_refused() -> None:
    small = _custom_kernels()
    small.open(compile_model(_plain()))
    with pytest.raises(KernelError, match="bad operator"):
        small.open(compile_model(tiny_encoder(0)))


def test_operators_source_lists_what_the_pack_runs(tmp_path: Path) -> None:
    pack = compile_model(tiny_encoder(0))
    source = tmp_path / "operators.c"
    source.write_text(operators_source(pack))
    assert source.read_text().count("_operator,") == 5
    chosen = Kernels(source)
    values = np.random.default_rng(2).integers(-128, 128, 24 * 24 * 3, dtype=np.int8)
    np.testing.assert_array_equal(chosen.open(pack).run(values), Kernels().open(pack).run(values))
    with pytest.raises(KernelError, match="bad operator"):
        chosen.open(compile_model(random_net(0)))


def test_kernels_that_are_not_listed_are_not_linked(tmp_path: Path) -> None:
    program = tmp_path / "main.c"
    program.write_text(
        '#include "model.h"\n'
        "int main(int n, char **a) { model_t m; return model_open(a, (size_t)n, &m) +"
        " model_run(&m, 0, 0); }\n"
    )
    listed = tmp_path / "operators.c"
    listed.write_text(operators_source(compile_model(_plain())))
    others = [path for path in sorted(KERNELS.rglob("*.c")) if path.name != "model_operators.c"]
    flags = ["-std=c11", "-O2", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"]
    image = tmp_path / "image"
    subprocess.run(
        ["cc", *flags, f"-I{KERNELS}", str(program), str(listed), *map(str, others), "-o", image],
        check=True,
    )
    names = subprocess.run(["nm", image], capture_output=True, text=True, check=True).stdout
    assert "conv_2d_s8" in names
    for left_out in ("softmax_s8", "mean_s8", "resize_s8", "copy_s8", "arithmetic_s8"):
        assert left_out not in names

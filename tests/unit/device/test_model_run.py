"""Whole models, byte for byte against LiteRT's reference kernels."""

import os

import numpy as np
import pytest
from kernel_library import Kernels
from moteye.compiler import compile_with_report
from moteye.compiler.ops import REGISTRY
from random_nets import random_net, tiny_encoder
from reference import Reference

# MOTEYE_NETS: a longer run; `make nets` is one.
NETS = int(os.environ.get("MOTEYE_NETS", "80"))
INPUTS = 3


@pytest.mark.parametrize("unsigned", [False, True], ids=["int8", "uint8"])
@pytest.mark.parametrize("first", range(0, NETS, 10))
def test_model_run_random_nets_equals_reference(
    each_kernels: Kernels, first: int, unsigned: bool
) -> None:
    for seed in range(first, first + 10):
        net = random_net(seed, unsigned)
        pack, report = compile_with_report(net)
        model, reference = each_kernels.open(pack), Reference(net)
        assert model.header.macs == report.macs
        rng = np.random.default_rng(seed)
        for _ in range(INPUTS):
            values = rng.integers(-128, 128, reference.shape, dtype=np.int8)
            np.testing.assert_array_equal(
                model.run(values), reference.run(values), f"net {seed}, {report}"
            )


# Tables like those that the nets use; ABS, ELU and their like differ in nothing else.
OTHER_TABLES = {"ABS", "ELU", "GELU", "NEG", "RELU_0_TO_1", "RELU_N1_TO_1", "RSQRT"}


def test_random_nets_use_every_operator() -> None:
    used = set()
    for seed in range(240):
        used |= set(compile_with_report(random_net(seed))[1].operators)
    own = {name for name in REGISTRY if name.startswith("Moteye")}  # test_custom_operators.py
    assert used == set(REGISTRY) - OTHER_TABLES - own


@pytest.mark.parametrize("value", [-128, 127])
def test_model_run_extreme_inputs_equal_reference(each_kernels: Kernels, value: int) -> None:
    for seed in range(100, 120):
        net = random_net(seed)
        reference = Reference(net)
        values = np.full(reference.shape, value, np.int8)
        pack, _ = compile_with_report(net)
        np.testing.assert_array_equal(
            each_kernels.open(pack).run(values), reference.run(values), f"net {seed}"
        )


def test_model_run_twice_in_one_arena_gives_the_same(kernels: Kernels) -> None:
    pack, _ = compile_with_report(tiny_encoder(7))
    model = kernels.open(pack)
    values = np.random.default_rng(7).integers(-128, 128, 24 * 24 * 3, dtype=np.int8)
    first = model.run(values)
    model.arena[:] = 85
    np.testing.assert_array_equal(model.run(values), first)

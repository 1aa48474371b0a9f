"""Factors as the kernels take them."""

import math

import numpy as np
import pytest
from moteye.compiler.quantize import activation_range, quantize_multiplier
from moteye.compiler.reader import Tensor


@pytest.mark.parametrize("seed", range(5))
def test_multiplier_and_shift_stand_for_the_factor(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(200):
        factor = float(rng.choice([-1, 1]) * math.exp(rng.uniform(-18, 18)))
        multiplier, shift = quantize_multiplier(factor)
        assert 1 << 30 <= abs(multiplier) < 1 << 31
        assert multiplier / 2**31 * 2.0**shift == pytest.approx(factor, rel=2**-30)


def test_multiplier_that_rounds_up_to_one_moves_to_the_shift() -> None:
    assert quantize_multiplier(1 - 2**-40) == (1 << 30, 1)


def test_multiplier_of_nothing_and_next_to_nothing_is_zero() -> None:
    assert quantize_multiplier(0.0) == (0, 0)
    assert quantize_multiplier(2.0**-40) == (0, 0)


@pytest.mark.parametrize(
    ("activation", "scale", "zero_point", "limits"),
    [
        ("NONE", 0.1, 5, (-128, 127)),
        ("RELU", 0.1, 5, (5, 127)),
        ("RELU6", 0.1, 5, (5, 65)),
        ("RELU6", 0.01, -128, (-128, 127)),
        ("RELU_N1_TO_1", 0.1, 5, (-5, 15)),
        ("RELU_N1_TO_1", 0.4, 0, (-3, 3)),
    ],
)
def test_activation_range_is_quantised(
    activation: str, scale: float, zero_point: int, limits: tuple[int, int]
) -> None:
    output = Tensor("t", (1,), "INT8", np.float32([scale]), np.array([zero_point]), 0, None)
    assert activation_range(activation, output) == limits

"""Quantisation arithmetic, to the last bit as the TFLite kernels prepare it."""

import math

import numpy as np

from .reader import Tensor


def quantize_multiplier(factor: float) -> tuple[int, int]:
    """A factor as multiplier / 2^31 * 2^shift, |multiplier| in [2^30, 2^31) or 0.

    A factor below 2^-32 becomes 0, as in TFLite. Negative ones come from negative filter scales.
    """
    if factor == 0.0:
        return 0, 0
    fraction, shift = math.frexp(factor)
    multiplier = math.floor(abs(fraction) * (1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    return (multiplier if factor > 0 else -multiplier), shift


def _quantized(value: float, tensor: Tensor) -> int:
    # The division is one of float32, rounded half away from zero.
    ratio = float(np.float32(value) / tensor.scale[0])
    rounded = math.floor(abs(ratio) + 0.5) * (1 if ratio >= 0 else -1)
    return int(tensor.zero_point[0]) + rounded


def activation_range(activation: str, output: Tensor) -> tuple[int, int]:
    """The quantised limits (inclusive) that a fused activation puts on an int8 output."""
    low, high = -128, 127
    if activation in ("RELU", "RELU6"):
        low = max(low, _quantized(0.0, output))
    if activation == "RELU6":
        high = min(high, _quantized(6.0, output))
    if activation == "RELU_N1_TO_1":
        low, high = max(low, _quantized(-1.0, output)), min(high, _quantized(1.0, output))
    return low, high

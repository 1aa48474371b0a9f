"""What the operators without a TFLite counterpart compute; device/kernels agrees bit for bit.

x is int8 [H, W, C]; roundings are half up, but for adaptive_pool's, which are half away from zero.
"""

from math import isqrt

import numpy as np


def _half_up(x: np.ndarray, bits: int) -> np.ndarray:
    return (x + (1 << (bits - 1))) >> bits


def grn(
    x: np.ndarray,
    gamma_q16: np.ndarray,
    bias_q16: np.ndarray,
    ratio_q16: int,
    zero_points: tuple[int, int],
) -> np.ndarray:
    """int8 [H, W, C]: (gamma share + 1) x + beta; share: of a norm in the mean norm."""
    centred = x.astype(np.int64) - zero_points[0]
    squares = (centred**2).sum((0, 1))
    norms = np.array([isqrt(int(square) << 16) for square in squares])  # Q8
    mean = int(norms.sum()) // len(norms)
    share = ((norms << 12) + mean // 2) // mean if mean else np.zeros_like(norms)  # Q12
    gain = np.clip(_half_up(gamma_q16.astype(np.int64) * share, 12) + 65536, -(1 << 30), 1 << 30)
    factor = np.clip(_half_up(gain * ratio_q16, 16), -(1 << 22), 1 << 22)  # Q16
    out = _half_up(centred * factor + bias_q16.astype(np.int64), 16) + zero_points[1]
    return np.clip(out, -128, 127).astype(np.int8)


def adaptive_pool(x: np.ndarray, height: int, width: int) -> np.ndarray:
    """int8 [height, width, C]: means of the windows of PyTorch's adaptive average pooling."""
    out = np.empty((height, width, x.shape[2]), np.int8)
    for row in range(height):
        rows = slice(row * x.shape[0] // height, -(-(row + 1) * x.shape[0] // height))
        for column in range(width):
            columns = slice(column * x.shape[1] // width, -(-(column + 1) * x.shape[1] // width))
            part = x[rows, columns].astype(np.int64).reshape(-1, x.shape[2])
            total, count = part.sum(0), len(part)
            away = np.where(total > 0, total + count // 2, count // 2 - total) // count
            out[row, column] = np.where(total > 0, away, -away)
    return out

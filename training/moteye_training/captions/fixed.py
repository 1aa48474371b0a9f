"""Real numbers as the integers of a caption pack: factors, tables."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def factor(real: float | F64) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(multiplier, shift) with real = multiplier / 2^(31 - shift)."""
    mantissa, exponent = np.frexp(np.asarray(real, np.float64))
    multiplier = np.rint(mantissa * 2.0**31).astype(np.int64)
    carried = multiplier == 2**31
    multiplier = np.where(carried, 2**30, multiplier)
    return multiplier, (exponent + carried).astype(np.int64)


def tables() -> dict[str, Any]:
    """The tables that are the same in every pack."""
    middle = (np.arange(1024) + 0.5) / 64 - 8
    steps = np.arange(256) / 256
    return {
        "sigmoid": np.rint(32768 / (1 + np.exp(-middle))),
        "softplus": np.rint(4096 * np.log1p(np.exp(middle))),
        "exp2": np.rint(32768 * 2.0**-steps),
        "log2": np.rint(4096 * np.log2(1 + steps + 0.5 / 256)),
    }

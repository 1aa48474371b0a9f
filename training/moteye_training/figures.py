"""Rows of measured figures, as `encoder.json` and `metrics.json` hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .protocol import Measured

Row = dict[str, Any]
RATIO_OF = ("caltech_unseen100.top1", "grocery.top1", "nips17.top1", "household24.map")
"""Measures whose mean ratio is `over_teacher`, `d64_over_d256` and the like."""
TARGETS = {
    "teacher.caltech_unseen100.top1": 0.50,
    "teacher.household24.map": 0.48,
    "text.bytes": 25_000_000,
}


def row(
    identity: str, value: float, unit: str, conditions: str, rival: str | None = None,
    rival_value: float | None = None,
) -> Row:  # fmt: skip
    """One row."""
    ratio = value / rival_value if rival_value else None
    return {
        "id": identity,
        "value": round(value, 5),
        "unit": unit,
        "target": TARGETS.get(identity),
        "rival": rival,
        "rival_value": None if rival_value is None else round(rival_value, 5),
        "ratio": None if ratio is None else round(ratio, 4),
        "conditions": conditions,
    }


def mean_ratio(above: Mapping[str, Measured], below: Mapping[str, Measured]) -> float:
    """Mean of the ratios of the four summary measures."""
    pairs = [(above[name].value, below[name].value) for name in RATIO_OF]
    return float(np.mean([one / other if other else np.nan for one, other in pairs]))


def mean_loss(
    above: Mapping[str, Measured], below: Mapping[str, Measured], names: Sequence[str] = RATIO_OF
) -> float:
    """Mean over measures of what is lost from above to below, in points."""
    return float(np.mean([(above[name].value - below[name].value) * 100 for name in names]))

"""What one embedding loses against another on the same photos, with an interval."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .figures import RATIO_OF
from .measure import presence_map, rank_of_truth
from .protocol import Protocol
from .text import F32, normalise
from .truth import HOUSEHOLD

Draw = Callable[[int], NDArray[np.int64]]


def loss_interval(
    protocol: Protocol, above: F32, below: F32, dim: int = 256, draws: int = 200, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of the mean loss over the summary measures, in points.

    Both embeddings float32[N, 256] of the evaluation photos. Photos are drawn anew, the same ones
    for both: what is left is how much the loss depends on which photos were asked.
    """
    rng = np.random.default_rng(seed)
    both = [_answers(protocol, x, dim) for x in (above, below)]
    known = protocol.household_known

    def once() -> float:
        lost = []
        for name in RATIO_OF:
            one, other = (answers[name] for answers in both)
            rows = rng.integers(0, len(one), len(one))
            if name.endswith(".map"):
                value, rest = (presence_map(x[rows], known[rows])[0] for x in (one, other))
            else:
                value, rest = one[rows].mean(), other[rows].mean()
            lost.append(float(value - rest) * 100)
        return float(np.mean(lost))

    low, high = np.percentile([once() for _ in range(draws)], [2.5, 97.5])
    return float(low), float(high)


def _answers(protocol: Protocol, embedding: F32, dim: int) -> dict[str, NDArray[np.float32]]:
    """For each summary measure whether each photo is told right, or its scores of presence."""

    def scores(rows: NDArray[np.int64], names: list[str] | tuple[str, ...]) -> F32:
        phrases = normalise(protocol.phrases(names)[:, :dim])
        return np.asarray(normalise(embedding[rows][:, :dim]) @ phrases.T, np.float32)

    found = {
        f"{task.id}.top1": np.float32(rank_of_truth(scores(task.rows, task.names), task.truth) == 0)
        for task in protocol.tasks
    }
    return {**found, "household24.map": scores(protocol.household_rows, HOUSEHOLD)}

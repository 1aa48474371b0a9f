"""The operating points: what the student of each is made of. No PyTorch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """An operating point: pixels a side, and the blocks of MCUNet that are left out.

    Those add to their own input, so that what stands behind fits without them. `frozen` of the
    blocks keep the weights that they begin with.
    """

    side: int
    without: tuple[int, ...] = ()
    frozen: int = 5


POINTS = {"accurate": Point(96), "fast": Point(64, (3, 4), frozen=2)}

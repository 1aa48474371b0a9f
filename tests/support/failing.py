"""The n-th operation fails: for n = 0, 1, 2, … until all went well.

One counter serves every layer that can fail: flash (support/flash_simulator.py), SQLite, sockets.
A layer asks `due()` before each of its operations, and fails in its own way where that is true. On
the device the same is done in MicroPython by tests/failure/device_failing.py.
"""

import os
import random
from collections.abc import Callable


class Failing:
    """Counts operations in `steps`; the one numbered `fail_at` fails, from 0; None: none does.

    With `lasting` all after it fail, too, until `fail_at` is None again.
    """

    def __init__(self, fail_at: int | None = None, *, lasting: bool = False) -> None:
        self.steps = 0
        self.fail_at = fail_at
        self.lasting = lasting
        self.failures = 0

    def due(self) -> bool:
        """Whether this operation fails; to be asked once for each."""
        number, self.steps = self.steps, self.steps + 1
        if self.fail_at is None or number < self.fail_at:
            return False
        if number > self.fail_at and not self.lasting:
            return False
        self.failures += 1
        return True


def sweep(
    attempt: Callable[[Failing], None], *, lasting: bool = False, share: float = 1.0, seed: int = 7
) -> int:
    """Run `attempt` with each operation failing in turn, until none is left to fail; how many.

    With `share` below 1 only so many of them fail, chosen by `seed`; MOTEYE_SWEEP=all fails all.
    """
    chance = random.Random(seed)
    longest = 1 if os.environ.get("MOTEYE_SWEEP") == "all" else round(2 / share) - 1
    number = tried = 0
    while True:
        failing = Failing(number, lasting=lasting)
        attempt(failing)
        if not failing.failures:
            return tried
        tried += 1
        number += chance.randint(1, longest)

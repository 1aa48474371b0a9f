"""`changes: embedding`: how much a frame differs from the camera's slow mean, in integers."""

from dataclasses import dataclass
from math import isqrt

import numpy as np
import numpy.typing as npt

DIM = 64
ONE_Q12 = 4096
# A distance that is always usual, .02: below it is the noise of sensor and codec.
LEAST_USUAL_Q12 = 82
# One frame moves the means by an eighth at most, however long the pause before it.
_MOST_WEIGHT_Q16 = 8192


@dataclass(frozen=True)
class Scene:
    """What a camera usually sees.

    `mean_q8` int64[DIM], the slow mean of embeddings; `usual_q12` the slow mean of 1 - cosine of a
    frame to it.
    """

    time_ms: int
    usual_q12: int
    mean_q8: npt.NDArray[np.int64]

    def ratio_q8(self, embedding: npt.NDArray[np.int8]) -> int:
        """How many times the usual the frame int8[>= DIM] differs, x 256; 0..32767."""
        distance = _distance_q12(embedding[:DIM].astype(np.int64), self.mean_q8)
        return min(32767, (distance << 8) // max(self.usual_q12, LEAST_USUAL_Q12))

    def after(self, embedding: npt.NDArray[np.int8], time_ms: int, over_ms: int) -> "Scene":
        """The scene with one more frame; `over_ms` is how slow its means are."""
        exact = embedding[:DIM].astype(np.int64)
        distance = _distance_q12(exact, self.mean_q8)
        pause_ms = max(0, time_ms - self.time_ms)
        weight = min(_MOST_WEIGHT_Q16, (pause_ms << 16) // max(1, over_ms))
        # A change is not usual: it counts no more than twice the usual.
        bounded = min(distance, 2 * max(self.usual_q12, LEAST_USUAL_Q12))
        usual = self.usual_q12 + ((bounded - self.usual_q12) * weight >> 16)
        mean = self.mean_q8 + (((exact << 8) - self.mean_q8) * weight >> 16)
        return Scene(time_ms, usual, mean)

    def plain(self) -> list[int]:
        """For a store."""
        return [self.time_ms, self.usual_q12, *self.mean_q8.tolist()]

    @classmethod
    def of_plain(cls, plain: list[int]) -> "Scene":
        """The scene that `plain` came from."""
        return cls(plain[0], plain[1], np.array(plain[2:], np.int64))

    @classmethod
    def first(cls, embedding: npt.NDArray[np.int8], time_ms: int) -> "Scene":
        """The scene after its first frame int8[>= DIM]."""
        return cls(time_ms, LEAST_USUAL_Q12, embedding[:DIM].astype(np.int64) << 8)


def _distance_q12(exact: npt.NDArray[np.int64], mean_q8: npt.NDArray[np.int64]) -> int:
    """1 - cosine, x 4096; 0 where one of the two is empty."""
    squares = int(exact @ exact) * int(mean_q8 @ mean_q8)
    root = isqrt(squares)
    return ONE_Q12 - (int(exact @ mean_q8) * ONE_Q12) // root if root else 0

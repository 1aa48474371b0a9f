"""What one camera usually shows, and what its scores are worth because of it.

The bank that phrases are calibrated on is of generic photos. A camera before a cluttered shelf
scores higher all day long; its margins are therefore mapped so that their middle and upper part
lie where the bank's do. That takes some tens of frames; a tail of one in 10,000, which no few
hundred frames can show, stays the bank's. Integers throughout.
"""

import json
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

ROWS = 512  # frames kept of a camera
LEAST_USUAL = 30  # of these frames, those that do not seem to show the phrase
LEAST_FRAMES = 40  # before that the camera's own margins stand as they are
REFIT_FRAMES = 640  # fitted at 40, 80, 160, 320 and 640 frames, then at every further 640
ONE_Q12 = 1 << 12
_MULT_RANGE_Q12 = (ONE_Q12 // 4, ONE_Q12 * 4)
_MIDDLE, _UPPER = 0.5, 0.9
_RECENT = 8 * ROWS  # a frame's chance to be kept does not fall below ROWS / _RECENT
Int8 = npt.NDArray[np.int8]
Int16 = npt.NDArray[np.int16]
Int64 = npt.NDArray[np.int64]


@dataclass
class Reservoir:
    """Up to ROWS embeddings of one camera, a fair sample of some thousand frames.

    Which frame takes which place follows from how many were `seen`: the same frames give the same
    sample.
    """

    seen: int = 0
    rows: list[bytes] = field(default_factory=list)

    def add(self, embedding: bytes) -> bool:
        """Take one more frame in, or leave it; whether it is time to fit again."""
        self.seen += 1
        if len(self.rows) < ROWS:
            self.rows.append(embedding)
        else:
            place = _scatter(self.seen) % min(self.seen, _RECENT)
            if place < ROWS:
                self.rows[place] = embedding
        doubled = self.seen in (LEAST_FRAMES << step for step in range(4))
        return doubled or self.seen % REFIT_FRAMES == 0

    @property
    def embeddings(self) -> Int8:
        """int8[N, 256]."""
        return np.frombuffer(b"".join(self.rows), np.int8).reshape(len(self.rows), -1)


def _scatter(number: int) -> int:
    """A well mixed 64-bit number (splitmix64)."""
    mask = (1 << 64) - 1
    number = (number * 0x9E3779B97F4A7C15) & mask
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & mask
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & mask
    return number ^ (number >> 31)


@dataclass(frozen=True)
class CameraCalibration:
    """margin' = min(margin, (margin * mult >> 12) + offset), by phrase, for one camera.

    `version` counts the fits of a camera, `frames` those that this one rests on.
    """

    device: str
    version: int
    frames: int
    maps: dict[str, tuple[int, int]]

    def json(self) -> bytes:
        """For the recording."""
        return json.dumps([self.device, self.version, self.frames, self.maps]).encode()

    @classmethod
    def of_json(cls, data: bytes) -> "CameraCalibration":
        """The calibration that `json` came from."""
        device, version, frames, maps = json.loads(data)
        return cls(device, version, frames, {name: (m, o) for name, (m, o) in maps.items()})

    def __str__(self) -> str:
        return f"calibration {self.version} of this camera, from {self.frames} frames"


def fit_map(bank_q8: Int16, camera_q8: Int16, likely_q8: int) -> tuple[int, int]:
    """(mult_q12, offset_q8) that put a camera's margins where the bank's lie.

    `bank_q8` int16[N] of a phrase's background, `camera_q8` int16[M] of a camera's frames, of which
    those at `likely_q8` or above are taken to show it. The identity for fewer than LEAST_USUAL.
    """
    usual = camera_q8[camera_q8 < likely_q8]
    if len(usual) < LEAST_USUAL:
        return ONE_Q12, 0
    middle, upper = (int(value) for value in np.quantile(usual, (_MIDDLE, _UPPER)))
    bank_middle, bank_upper = (int(value) for value in np.quantile(bank_q8, (_MIDDLE, _UPPER)))
    mult = (bank_upper - bank_middle) * ONE_Q12 // max(1, upper - middle)
    mult = min(max(mult, _MULT_RANGE_Q12[0]), _MULT_RANGE_Q12[1])
    return mult, bank_middle - ((middle * mult) >> 12)


def mapped_q8(margins_q8: Int16, mult_q12: Int64, offset_q8: Int64) -> Int16:
    """Margins int16[..., K] of one camera by its maps; never above what they were."""
    wide = ((margins_q8.astype(np.int64) * mult_q12) >> 12) + offset_q8
    return np.asarray(np.minimum(margins_q8, np.clip(wide, -32768, 32767)), np.int16)

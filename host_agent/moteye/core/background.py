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

ROWS = 512  # frames kept of a camera, in a house
FLEET_ROWS = 640_000  # of all cameras together: 41 MB at 64 dimensions, however long they watch
LEAST_ROWS = 64  # of a camera, however many there are; LEAST_USUAL of them have to be usual
LEAST_USUAL = 30  # of these frames, those that do not seem to show the phrase
LEAST_FRAMES = 40  # before that the camera's own margins stand as they are
REFIT_FRAMES = 640  # fitted at 40, 80, 160, 320 and 640 frames, then at every further 640
ONE_Q12 = 1 << 12
_FIRST_FITS = frozenset(LEAST_FRAMES << step for step in range(4))
_MULT_RANGE_Q12 = (ONE_Q12 // 4, ONE_Q12 * 4)
_MIDDLE, _UPPER = 0.5, 0.9
_RECENT = 8  # of so many times the frames that are kept, the sample is fair
Int8 = npt.NDArray[np.int8]
Int16 = npt.NDArray[np.int16]
Int32 = npt.NDArray[np.int32]
Float = npt.NDArray[np.float64]


def rows_of_each(cameras: int) -> int:
    """How many frames are kept of each of so many cameras."""
    return max(LEAST_ROWS, min(ROWS, FLEET_ROWS // max(1, cameras)))


@dataclass
class Reservoir:
    """Embeddings of one camera, a fair sample of some hundred or thousand frames.

    `data` holds int8[N, width], the first `width` entries of each: those that decisions use. Which
    frame takes which place follows from how many were `seen`: the same frames give the same sample.
    """

    seen: int = 0
    width: int = 256
    data: bytearray = field(default_factory=bytearray)

    def __len__(self) -> int:
        return len(self.data) // self.width

    def add(self, embedding: bytes, most: int = ROWS) -> bool:
        """Take one more frame in, or leave it; whether it is time to fit again.

        `most` frames are kept; where they were more, the others go.
        """
        self.seen += 1
        kept = len(self)
        while kept > most:
            self._drop(_scatter(self.seen + kept) % kept)
            kept -= 1
        if kept < most:
            self.data += embedding[: self.width]
        else:
            place = _scatter(self.seen) % min(self.seen, _RECENT * most)
            if place < most:
                self.data[place * self.width : (place + 1) * self.width] = embedding[: self.width]
        return self.seen in _FIRST_FITS or self.seen % REFIT_FRAMES == 0

    def remove(self, embedding: bytes) -> bool:
        """Leave a frame out that was taken in; whether it was among those kept."""
        rows = self.embeddings
        (found,) = np.nonzero((rows == np.frombuffer(embedding, np.int8)[: self.width]).all(axis=1))
        if found.size:
            self._drop(int(found[0]))
        return bool(found.size)

    @property
    def embeddings(self) -> Int8:
        """int8[N, width]."""
        return np.frombuffer(bytes(self.data), np.int8).reshape(len(self), self.width)

    def _drop(self, place: int) -> None:
        del self.data[place * self.width : (place + 1) * self.width]


def _scatter(number: int) -> int:
    """A well mixed 64-bit number (splitmix64)."""
    mask = (1 << 64) - 1
    number = (number * 0x9E3779B97F4A7C15) & mask
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & mask
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & mask
    return number ^ (number >> 31)


@dataclass(frozen=True, eq=False)
class CameraCalibration:
    """margin' = min(margin, (margin * mult >> 12) + offset), by phrase, for one camera.

    `mult_q12` and `offset_q8` int32[K] of `phrases`. `version` counts the fits of a camera,
    `frames` those that this one rests on.
    """

    device: str
    version: int
    frames: int
    phrases: tuple[str, ...]
    mult_q12: Int32
    offset_q8: Int32

    @property
    def maps(self) -> dict[str, tuple[int, int]]:
        """(mult, offset) by phrase."""
        pairs = zip(self.mult_q12.tolist(), self.offset_q8.tolist(), strict=True)
        return dict(zip(self.phrases, pairs, strict=True))

    def json(self) -> bytes:
        """For the recording."""
        return json.dumps([self.device, self.version, self.frames, self.maps]).encode()

    @classmethod
    def of_json(cls, data: bytes) -> "CameraCalibration":
        """The calibration that `json` came from."""
        device, version, frames, maps = json.loads(data)
        pairs = np.array(list(maps.values()), np.int32).reshape(len(maps), 2)
        return cls(device, version, frames, tuple(maps), pairs[:, 0].copy(), pairs[:, 1].copy())

    def __str__(self) -> str:
        return f"calibration {self.version} of this camera, from {self.frames} frames"


@dataclass
class Calibrations:
    """Of all cameras, by device; `columns_are` says where the phrases stand in the margins."""

    all: dict[str, CameraCalibration] = field(default_factory=dict)
    _columns: dict[str, int] = field(default_factory=dict)
    _maps: dict[str, tuple[Int32, Int32]] = field(default_factory=dict)

    def put(self, calibration: CameraCalibration) -> None:
        """Take a camera's calibration in place of the one before."""
        self.all[calibration.device] = calibration
        self._maps.pop(calibration.device, None)

    def forget(self, device: str) -> None:
        """A camera is as one that was never fitted."""
        self.all.pop(device, None)
        self._maps.pop(device, None)

    def columns_are(self, columns: dict[str, int]) -> None:
        """Other phrases, each with its column."""
        self._columns = columns
        self._maps.clear()

    def row_q8(self, device: str, margins_q8: Int16) -> Int16:
        """Margins int16[K] of one frame, by the camera's own background if it has been fitted."""
        if device not in self.all:
            return margins_q8
        return mapped_q8(margins_q8, *self._map_of(device, len(margins_q8)))

    def own_q8(self, devices: list[str], margins_q8: Int16) -> Int16:
        """Margins int16[B, K] of frames of `devices`, one for each row."""
        rows = [row for row, device in enumerate(devices) if device in self.all]
        if not rows:
            return margins_q8
        maps = [self._map_of(devices[row], margins_q8.shape[1]) for row in rows]
        own = margins_q8.copy()
        own[rows] = mapped_q8(
            margins_q8[rows], np.stack([one[0] for one in maps]), np.stack([one[1] for one in maps])
        )
        return own

    def _map_of(self, device: str, width: int) -> tuple[Int32, Int32]:
        if device not in self._maps:
            found = self.all[device]
            columns = [self._columns.get(phrase, -1) for phrase in found.phrases]
            if columns == list(range(width)):
                self._maps[device] = found.mult_q12, found.offset_q8
            else:
                mult, offset = np.full(width, ONE_Q12, np.int32), np.zeros(width, np.int32)
                known = [at for at, column in enumerate(columns) if column >= 0]
                places = [columns[at] for at in known]
                mult[places], offset[places] = found.mult_q12[known], found.offset_q8[known]
                self._maps[device] = mult, offset
        return self._maps[device]


@dataclass(frozen=True)
class BankShape:
    """What the bank says of each phrase: where the middle and the upper part of its margins lie.

    float64[K] each; `likely_q8` int32[K]: from where a frame is taken to show it.
    """

    middle: Float
    upper: Float
    likely_q8: Int32


def fit_maps(bank: BankShape, camera_q8: Int16) -> tuple[Int32, Int32]:
    """(mult_q12, offset_q8) int32[K] each, that put a camera's margins where the bank's lie.

    `camera_q8` int16[M, K] of a camera's frames, of which those at `likely_q8` or above are taken
    to show the phrase. The identity for fewer than LEAST_USUAL others.
    """
    ordered = np.sort(camera_q8, axis=0)
    usual = (camera_q8 < bank.likely_q8).sum(axis=0)
    middle = np.trunc(_lower_quantiles(ordered, usual, _MIDDLE)).astype(np.int64)
    upper = np.trunc(_lower_quantiles(ordered, usual, _UPPER)).astype(np.int64)
    bank_middle = np.trunc(bank.middle).astype(np.int64)
    bank_upper = np.trunc(bank.upper).astype(np.int64)
    mult = (bank_upper - bank_middle) * ONE_Q12 // np.maximum(1, upper - middle)
    mult = np.clip(mult, *_MULT_RANGE_Q12)
    offset = bank_middle - ((middle * mult) >> 12)
    few = usual < LEAST_USUAL
    mult[few], offset[few] = ONE_Q12, 0
    return mult.astype(np.int32), offset.astype(np.int32)


def bank_shape(backgrounds_q8: list[Int16], likely_q8: list[int]) -> BankShape:
    """Of the margins int16[N] of each phrase on its own background."""
    parts = [np.quantile(one, (_MIDDLE, _UPPER)) for one in backgrounds_q8]
    found = np.array(parts, np.float64).reshape(len(parts), 2)
    return BankShape(found[:, 0], found[:, 1], np.array(likely_q8, np.int32))


def _lower_quantiles(ordered: Int16, counts: npt.NDArray[np.intp], share: float) -> Float:
    """Quantiles of the first `counts[k]` of each column of int16[M, K] in order → float64[K]."""
    at = np.maximum(counts - 1, 0) * share
    below = np.floor(at).astype(np.intp)
    columns = np.arange(ordered.shape[1])
    low = ordered[below, columns].astype(np.float64)
    high = ordered[np.minimum(below + 1, np.maximum(counts - 1, 0)), columns].astype(np.float64)
    return np.asarray(low + (high - low) * (at - below), np.float64)


def mapped_q8(margins_q8: Int16, mult_q12: Int32, offset_q8: Int32) -> Int16:
    """Margins int16[..., K] by maps int32[..., K]; never above what they were."""
    wide = margins_q8.astype(np.int32)
    wide *= mult_q12  # below 2^15 times 2^14
    wide >>= 12
    wide += offset_q8
    np.minimum(wide, margins_q8, out=wide)
    return np.asarray(np.maximum(wide, -32768), np.int16)

"""What a score means.

Log-odds from a background of generic photos, and thresholds that are promises.

A phrase's cosine is compared with its cosines over the background bank (photos that do not show
it), which gives a standard score; a logistic fitted once on labelled photos turns that into
log-odds. A threshold is the margin that at most one in N background frames exceeds, from an
Pareto tail fitted to the bank.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BOOL = npt.NDArray[np.bool_]
PROMISED_RATE = {"likely": 1e-3, "sure": 1e-4}
TAIL_SHARE = 0.05  # the share of the background that the tail is fitted to
_SHAPE_RANGE = (-0.4, 0.2)
_BOOTSTRAPS = 100
_MAX_SHIFT = 40


@dataclass(frozen=True)
class Exclusion:
    """When a bank photo counts as showing a phrase, by the teacher's cosine x of the two.

    x >= `cosine`, or x lies `robust_z` robust standard deviations above the median of the bank; but
    at most the share `most` of the bank, those of the highest x.
    """

    cosine: float
    robust_z: float
    most: float


@dataclass(frozen=True)
class Background:
    """Generic photos as the encoder and as the teacher see them.

    `embeddings` int8[N, 256] by the encoder; `content` float32[N, 256] unit vectors by the teacher,
    used only to tell which photos show a phrase.
    """

    embeddings: npt.NDArray[np.int8]
    content: npt.NDArray[np.float32]
    exclusion: Exclusion


@dataclass(frozen=True)
class Logistic:
    """P(present) = logistic(a[d] * z + b[d]) for the standard score z at dimension d."""

    a: dict[int, float]
    b: dict[int, float]


@dataclass(frozen=True)
class Threshold:
    """A margin, and the false alarms per background frame that it is expected to give."""

    margin_q8: int
    rate: float


def background_rows(background: Background, vectors: npt.NDArray[np.floating]) -> BOOL:
    """Vectors float[K, 256] → bool[N, K].

    Whether photo n is background for phrase k, that is, does not show it.
    """
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    similarity = background.content @ units.T.astype(np.float32)
    median = np.median(similarity, axis=0)
    spread = 1.4826 * np.median(np.abs(similarity - median), axis=0) + 1e-9
    rule = background.exclusion
    shows = (similarity >= rule.cosine) | ((similarity - median) / spread >= rule.robust_z)
    ceiling = np.quantile(similarity, 1 - rule.most, axis=0)
    return np.asarray(~(shows & (similarity > ceiling)), np.bool_)


def moments(
    cosines: npt.NDArray[np.float64], used: BOOL
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Cosines, integers in float64[N, K], and which count → mean and deviation, float64[K]."""
    weight = used.astype(np.float64)
    total = weight.sum(axis=0)
    mean = (cosines * weight).sum(axis=0) / total
    deviation = np.sqrt((((cosines - mean) ** 2) * weight).sum(axis=0) / total) + 1e-9
    return mean, deviation


def affine(
    mean: npt.NDArray[np.float64],
    deviation: npt.NDArray[np.float64],
    logistic: Logistic,
    dim: int,
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.int16], int]:
    """Moments float64[K] of cosines c → (mult uint16[K], offset int16[K], shift).

    margin_q8 = (c * mult >> shift) + offset is then 256 times the log-odds.
    """
    slope = 256 * logistic.a[dim] / deviation
    shift = min(_MAX_SHIFT, math.floor(math.log2(65535 / float(slope.max()))))
    mult = np.clip(np.rint(slope * 2.0**shift), 1, 65535)
    offset = np.rint(256 * logistic.b[dim] - mean * mult / 2.0**shift)
    return mult.astype(np.uint16), np.clip(offset, -32768, 32767).astype(np.int16), shift


def fit_affine(
    cosines: npt.NDArray[np.float64], used: BOOL, logistic: Logistic, dim: int
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.int16], int]:
    """`affine` of the moments of cosines float64[N, K], of which `used` count."""
    return affine(*moments(cosines, used), logistic, dim)


def threshold(
    background_q8: npt.NDArray[np.int16], certainty: str | float, shared_by: int = 1
) -> Threshold:
    """The margin from which a phrase counts as seen.

    `background_q8` int16[N]: margins of the phrase on its background. A word is a promise
    (PROMISED_RATE), divided among the `shared_by` phrases of a policy; never below even odds. A
    number is a probability.
    """
    tail = fit_tail(background_q8)
    if isinstance(certainty, float):
        margin = round(256 * math.log(certainty / (1 - certainty)))
    else:
        margin = max(0, math.ceil(tail.quantile(PROMISED_RATE[certainty] / shared_by)))
    margin = min(margin, 32767)
    return Threshold(margin, tail.rate(margin))


@dataclass(frozen=True)
class Tail:
    """A generalised Pareto tail above `start`, which the share `share` of all values exceeds.

    P(value > x) = share * (1 + shape * (x - start) / scale) ^ (-1 / shape); exponential at shape 0.
    """

    start: float
    share: float
    scale: float
    shape: float
    body: npt.NDArray[np.float64]

    def rate(self, margin: float) -> float:
        """Share of background frames expected at or above `margin`."""
        if margin <= self.start:
            return float((self.body >= margin).mean())
        base = 1 + self.shape * (margin - self.start) / self.scale
        return self.share * base ** (-1 / self.shape) if base > 0 else 0.0

    def quantile(self, rate: float) -> float:
        """The margin that the share `rate` of background frames exceeds."""
        if rate >= self.share:
            return float(np.quantile(self.body, 1 - rate))
        growth = float((self.share / rate) ** self.shape)
        return self.start + self.scale / self.shape * (growth - 1)


def fit_tail(background_q8: npt.NDArray[np.int16]) -> Tail:
    """Fit the largest TAIL_SHARE of int16[N], N >= 20, by probability-weighted moments.

    Hosking and Wallis, Technometrics 29 (1987) 339. The shape is held where a wrong photo or two in
    the bank cannot carry it away.
    """
    values = np.sort(background_q8.astype(np.float64))
    count = max(10, int(values.size * TAIL_SHARE))
    start = float(values[-count - 1])
    excess = values[-count:] - start
    plotting = (np.arange(1, count + 1) - 0.35) / count
    mean, weighted = float(excess.mean()), float((excess * (1 - plotting)).mean())
    denominator = mean - 2 * weighted
    shape = 2 - mean / denominator if denominator > 1e-9 else 0.0
    shape = min(max(shape, _SHAPE_RANGE[0]), _SHAPE_RANGE[1])
    shape = shape if abs(shape) > 1e-6 else 1e-6
    # With the shape held, the scale follows from the mean: E[excess] = scale / (1 - shape).
    return Tail(start, count / values.size, max(mean * (1 - shape), 1.0), shape, values)


def rate_interval(background_q8: npt.NDArray[np.int16], margin: int) -> tuple[float, float]:
    """95 % interval of the false-alarm rate at `margin`, by a seeded bootstrap over the bank."""
    rng = np.random.default_rng(0)
    size = background_q8.size
    rates = [
        fit_tail(background_q8[rng.integers(0, size, size)]).rate(margin)
        for _ in range(_BOOTSTRAPS)
    ]
    low, high = np.quantile(rates, (0.025, 0.975))
    estimate = fit_tail(background_q8).rate(margin)
    return min(float(low), estimate), max(float(high), estimate)

"""Prototype rows as codewords, for sets that find no room on a device otherwise. Pure NumPy.

A row is cut into parts, and each part is replaced by the nearest of 256 codewords (product
quantisation: Jégou, Douze and Schmid, IEEE TPAMI 33 (2011) 117). Nearest is the one that changes
the scores of background photos least: the covariance of their embeddings is the metric.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from moteye_protocol.codebook_set import WORDS, CodebookSet

from moteye.core.calibration import Background, Logistic, affine, moments
from moteye.core.prototypes import BuiltSet, choose_canaries, kept_canaries
from moteye.core.scoring import fixed_cosines

Float = npt.NDArray[np.float64]
UNIT = 1 / (127 * 255)  # one integer of a row of length 1
ROUNDS = 15  # of k-means
SWEEPS = 3  # of choosing each part again, given the others
_SAMPLE = 20_000  # rows that codewords are learnt from
_BLOCK = 1024  # rows that are compared or calibrated at a time
_RIDGE = 0.02  # of the mean variance, so that no direction counts for nothing
_STALE = 1.15  # error of kept codewords over that of the set they were learnt for


@dataclass(frozen=True)
class Codewords:
    """`words` int8[256, D]; `scales` uint8[M]; a word's value is scale * entry * UNIT."""

    widths: tuple[int, ...]
    scales: npt.NDArray[np.uint8]
    words: npt.NDArray[np.int8]

    def values(self, part: int) -> Float:
        """float64[256, width] of one part, in UNITs."""
        start = sum(self.widths[:part])
        words = self.words[:, start : start + self.widths[part]].astype(np.float64)
        return words * float(self.scales[part])


def widths_of(dim: int) -> tuple[int, ...]:
    """How a dimension is cut into parts: 4 wide up to 16, 8 wide up to 64, 16 wide beyond.

    The space is rotated by PCA: the first entries vary most and get the most codewords.
    """
    found: list[int] = []
    while (at := sum(found)) < dim:
        found.append(4 if at < 16 else 8 if at < 64 else 16)
    return tuple(found)


def compress(
    built: BuiltSet,
    background: Background,
    logistic: Logistic,
    *,
    dim: int,
    names: bool = True,
    previous: CodebookSet | None = None,
) -> CodebookSet:
    """The classes of `built` as a codebook set for one dimension.

    The codewords of the `previous` set go on where they still fit, so that a change of few classes
    stays a small delta. Without `names` the file leaves them out.
    """
    rows = _unit_rows(built.vectors[:, :dim])
    covariance = score_covariance(background.embeddings[:, :dim])
    words, codes = _words_and_codes(rows, covariance, previous)
    plain = built.prototypes
    draft = CodebookSet(
        encoder_hash=plain.encoder_hash,
        number=plain.number,
        names=plain.names,
        widths=words.widths,
        scales=words.scales,
        words=words.words,
        codes=codes,
        mult=np.ones(len(codes), np.uint16),
        offset=np.zeros(len(codes), np.int16),
        shift=0,
        report_q8=plain.report_q8,
        epoch=plain.epoch,
    )
    return _with_canaries(
        _calibrated(draft, built, background, logistic), background, previous, names
    )


def score_covariance(embeddings: npt.NDArray[np.int8]) -> Float:
    """Embeddings int8[N, D] → float64[D, D]: how an error of a row spreads over the scores."""
    units = _unit_rows(embeddings.astype(np.float64))
    covariance = np.cov(units, rowvar=False)
    return np.asarray(
        covariance + np.eye(len(covariance)) * _RIDGE * np.trace(covariance) / len(covariance),
        np.float64,
    )


def learn(rows: Float, covariance: Float, widths: tuple[int, ...]) -> Codewords:
    """Codewords for rows float64[K, D], the same for the same rows."""
    rng = np.random.default_rng(0)
    if len(rows) > _SAMPLE:
        rows = rows[rng.choice(len(rows), _SAMPLE, replace=False)]
    parts = []
    start = 0
    for width in widths:
        end = start + width
        root = np.linalg.cholesky(covariance[start:end, start:end])
        means = _k_means(rows[:, start:end] @ root, rng)
        parts.append(np.linalg.solve(root.T, means.T).T)
        start = end
    return _as_integers(parts, widths)


def encode(rows: Float, covariance: Float, words: Codewords) -> tuple[npt.NDArray[np.uint8], float]:
    """Rows float64[K, D] of length 1 → (codes uint8[K, M], mean squared error of their scores).

    What a part cannot say the others make up for, as far as photos vary with both.
    """
    scaled = rows / UNIT
    codes = np.zeros((len(rows), len(words.widths)), np.uint8)
    error = 0.0
    for at in range(0, len(rows), _BLOCK):
        block = scaled[at : at + _BLOCK]
        codes[at : at + _BLOCK], rest = _encode_block(block, covariance, words)
        error += float(np.einsum("kd,de,ke->", rest, covariance, rest))
    return codes, error * UNIT * UNIT / len(rows)


def _words_and_codes(
    rows: Float, covariance: Float, previous: CodebookSet | None
) -> tuple[Codewords, npt.NDArray[np.uint8]]:
    """The previous codewords where they fit nearly as well as new ones, else new ones."""
    fresh = learn(rows, covariance, widths_of(rows.shape[1]))
    codes, error = encode(rows, covariance, fresh)
    if previous is not None and previous.widths == fresh.widths:
        kept = Codewords(previous.widths, previous.scales, previous.words)
        kept_codes, kept_error = encode(rows, covariance, kept)
        if kept_error <= _STALE * error:
            return kept, kept_codes
    return fresh, codes


def _encode_block(
    rows: Float, covariance: Float, words: Codewords
) -> tuple[npt.NDArray[np.uint8], Float]:
    """(codes, what is left of the rows), after SWEEPS of choosing each part given the others."""
    codes = np.zeros((len(rows), len(words.widths)), np.uint8)
    rest = rows.copy()
    ends = np.cumsum(words.widths)
    for sweep in range(SWEEPS):
        for part, end in enumerate(ends):
            start = end - words.widths[part]
            values = words.values(part)
            if sweep:
                rest[:, start:end] += values[codes[:, part]]
            # of (rest - w)' C (rest - w) only what depends on the codeword w
            own = covariance[start:end, start:end]
            pull = (rest @ covariance[:, start:end]) if sweep else rest[:, start:end] @ own
            cost = np.einsum("jd,de,je->j", values, own, values) - 2 * pull @ values.T
            codes[:, part] = cost.argmin(axis=1)
            rest[:, start:end] -= values[codes[:, part]]
    return codes, rest


def _calibrated(
    draft: CodebookSet, built: BuiltSet, background: Background, logistic: Logistic
) -> CodebookSet:
    """The set with each row's margins fitted to the background as its codewords see it."""
    rows = draft.rows().astype(np.float64).T
    photos = background.embeddings[:, : draft.dim]
    found = []
    for at in range(0, draft.count, _BLOCK):
        cosines, _ = fixed_cosines(photos, rows[:, at : at + _BLOCK])
        found.append(moments(cosines, built.absent[:, at : at + _BLOCK]))
    mean, deviation = (np.concatenate(part) for part in zip(*found, strict=True))
    mult, offset, shift = affine(mean, deviation, logistic, draft.dim)
    return replace(draft, mult=mult, offset=offset, shift=shift)


def _with_canaries(
    found: CodebookSet, background: Background, previous: CodebookSet | None, names: bool
) -> CodebookSet:
    canaries = kept_canaries(found, previous) if previous is not None else ()
    canaries = canaries or choose_canaries(found, background.embeddings)
    return replace(found, canaries=canaries, names=found.names if names else ())


def _k_means(rows: Float, rng: np.random.Generator) -> Float:
    """Rows float64[K, d] → float64[256, d]; words that nobody is near are put on far rows."""
    distinct = np.unique(rows, axis=0)
    means = np.zeros((WORDS, rows.shape[1]))
    first = min(WORDS, len(distinct))
    means[:first] = distinct[rng.choice(len(distinct), first, replace=False)]
    if len(distinct) <= WORDS:
        return means
    for _ in range(ROUNDS):
        distance = (means**2).sum(axis=1) - 2 * rows @ means.T
        nearest = distance.argmin(axis=1)
        sums = np.stack(
            [np.bincount(nearest, column, minlength=WORDS) for column in rows.T], axis=1
        )
        counts = np.bincount(nearest, minlength=WORDS)
        empty = np.flatnonzero(counts == 0)
        means = sums / np.maximum(counts, 1)[:, None]
        if empty.size:
            far = distance[np.arange(len(rows)), nearest] + (rows**2).sum(axis=1)
            means[empty] = rows[np.argsort(-far)[: empty.size]]
    return means


def _as_integers(parts: list[Float], widths: tuple[int, ...]) -> Codewords:
    """int8 words with a scale a part, so that each part uses all of its eight bits."""
    largest = np.array([float(np.abs(part).max()) for part in parts])
    scales = np.clip(np.ceil(largest / UNIT / 127), 1, 255).astype(np.uint8)
    words = [
        np.clip(np.rint(part / (float(scale) * UNIT)), -127, 127).astype(np.int8)
        for part, scale in zip(parts, scales, strict=True)
    ]
    return Codewords(widths, scales, np.hstack(words))


def _unit_rows(rows: npt.NDArray[np.floating]) -> Float:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-9), np.float64)

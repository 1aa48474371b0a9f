"""From phrase vectors to the 4-bit, calibrated rows of a prototype set. Pure NumPy."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from moteye_protocol import wire
from moteye_protocol.prototype_set import PrototypeSet

from moteye.core.calibration import Background, Logistic, background_rows, fit_affine
from moteye.core.scoring import AnySet, Scorer, dims_of, fixed_cosines, scaled_rows

Float = npt.NDArray[np.floating]
Canaries = tuple[tuple[int, bytes], ...]
REPORT_MARGIN_Q8 = -512  # a device reports rows from a probability of .12 on
CANARIES = 2
_CANARY_PHOTOS = 512
_CANARY_GAP_Q8 = 32
_CLIP_CANDIDATES = (1.0, 0.9, 0.8, 0.7)


@dataclass(frozen=True)
class BuiltSet:
    """A prototype set, its file, and what it makes of the background bank.

    `vectors` float[K, 256]: what the rows were made of. `bank_q8` int16[N, K]: margins of all
    photos of the bank at the dimension that decisions use; `absent` bool[N, K]: whether a photo
    does not show a phrase.
    """

    prototypes: PrototypeSet
    data: bytes
    vectors: Float
    bank_q8: npt.NDArray[np.int16]
    absent: npt.NDArray[np.bool_]

    def background_q8(self, row: int, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int16]:
        """Margins of `row` on the photos that show none of `rows`."""
        return np.asarray(self.bank_q8[self.absent[:, rows].all(axis=1), row], np.int16)


def build_set(
    phrases: list[str],
    vectors: Float,
    background: Background,
    logistic: Logistic,
    *,
    encoder_hash: bytes,
    number: int,
    dim: int,
    epoch: int = 0,
    previous: PrototypeSet | None = None,
) -> BuiltSet:
    """One row a phrase.

    `vectors` float[K, 256] in the embedding space; `dim` the dimension that decisions use. The
    canaries of the `previous` set go on where they can, so that they need not travel again.
    """
    codes, scale = quantise_rows(vectors)
    dims = wire.SET_DIMS
    count = len(phrases)
    mult = np.zeros((len(dims), count), np.uint16)
    offset = np.zeros((len(dims), count), np.int16)
    shift = []
    used = background_rows(background, vectors)
    for plane, width in enumerate(dims):
        rows = scaled_rows(codes, scale, width).T
        cosines, _ = fixed_cosines(background.embeddings[:, :width], rows)
        plane_mult, plane_offset, plane_shift = fit_affine(cosines, used, logistic, width)
        mult[plane], offset[plane] = plane_mult, plane_offset
        shift.append(plane_shift)
    prototypes = PrototypeSet(
        encoder_hash=encoder_hash,
        number=number,
        names=tuple(phrases),
        codes=codes,
        scale=scale,
        mult=mult,
        offset=offset,
        shift=tuple(shift),
        report_q8=REPORT_MARGIN_Q8,
        epoch=epoch,
    )
    canaries = kept_canaries(prototypes, previous) if previous is not None else ()
    canaries = canaries or choose_canaries(prototypes, background.embeddings)
    prototypes = replace(prototypes, canaries=canaries)
    margins = Scorer(prototypes, dim).margins_q8(background.embeddings)
    return BuiltSet(prototypes, prototypes.encode(), vectors, margins, used)


def choose_canaries(prototypes: AnySet, photos: npt.NDArray[np.int8]) -> Canaries:
    """Up to CANARIES photos of int8[N, 256] that one row answers best at every dimension.

    The first such photos in the bank's order, of different rows.
    """
    photos = photos[:_CANARY_PHOTOS]
    chosen: dict[int, bytes] = {}
    for photo, row in enumerate(_clear_rows(prototypes, photos)):
        if row >= 0:
            chosen.setdefault(int(row), photos[photo, : prototypes.dim].tobytes())
        if len(chosen) == CANARIES:
            break
    return tuple(chosen.items())


def kept_canaries(prototypes: AnySet, previous: AnySet) -> Canaries:
    """Canaries of another set that the row of the same name still answers best, in their order."""
    if not previous.canaries or previous.dim != prototypes.dim or not previous.names:
        return ()
    photos = np.stack([np.frombuffer(e, np.int8) for _, e in previous.canaries])
    return tuple(
        (int(row), embedding)
        for row, (before, embedding) in zip(
            _clear_rows(prototypes, photos), previous.canaries, strict=True
        )
        if row >= 0 and prototypes.names[row] == previous.names[before]
    )


def _clear_rows(prototypes: AnySet, photos: npt.NDArray[np.int8]) -> npt.NDArray[np.signedinteger]:
    """Photos int8[N, D] → int[N]: the row that is best at every dimension by a gap, or -1."""
    rows: npt.NDArray[np.signedinteger] | None = None
    for dim in dims_of(prototypes):
        margins = Scorer(prototypes, dim).margins_q8(photos).astype(np.int32)
        best = margins.argmax(axis=1)
        if rows is None:
            rows = best
        rows = np.where(best == rows, rows, -1)
        if margins.shape[1] > 1:
            top = np.sort(margins, axis=1)[:, -2:]
            rows = np.where(top[:, 1] - top[:, 0] >= _CANARY_GAP_Q8, rows, -1)
    assert rows is not None
    return rows


def quantise_rows(
    vectors: Float,
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.uint8]]:
    """float[K, 256] → codes int8[K, 256] in -8..7, scale uint8[5, K]; scale * code ~ the row.

    Each plane takes the clipping that leaves the least squared error; later planes of a
    PCA-rotated space are small, which is why every plane has a scale of its own.
    """
    parts = np.split(np.asarray(vectors, np.float64), wire.SET_DIMS[:-1], axis=1)
    steps = np.stack([_best_steps(part) for part in parts])
    unit = np.maximum(steps.max(axis=0), 1e-12) / 255
    scale = np.maximum(1, np.rint(steps / unit)).astype(np.uint8)
    codes = [
        np.clip(np.rint(part / (factor * unit)[:, None]), -8, 7).astype(np.int8)
        for part, factor in zip(parts, scale.astype(np.float64), strict=True)
    ]
    return np.hstack(codes), scale


def _best_steps(part: Float) -> Float:
    """float[K, w] → float[K]: for each row the step of its codes that loses least."""
    largest = np.abs(part).max(axis=1) / 7
    steps = np.stack([np.maximum(largest * clip, 1e-300) for clip in _CLIP_CANDIDATES])
    errors = [
        ((np.clip(np.rint(part / step[:, None]), -8, 7) * step[:, None] - part) ** 2).sum(axis=1)
        for step in steps
    ]
    best = steps[np.argmin(errors, axis=0), np.arange(len(part))]
    return np.where(largest > 0, best, 0.0)

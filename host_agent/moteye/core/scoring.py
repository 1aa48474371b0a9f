"""Scores as integers: the host's twin of `device/kernels/match_prototypes.c`.

And of `match_codebook.c`. All follow "Score" in `protocol/SPEC.md`; tests compare for equality.
"""

import numpy as np
import numpy.typing as npt
from moteye_protocol import wire
from moteye_protocol.codebook_set import CodebookSet
from moteye_protocol.prototype_set import PrototypeSet

Int8 = npt.NDArray[np.int8]
Int16 = npt.NDArray[np.int16]
Int64 = npt.NDArray[np.int64]

AnySet = PrototypeSet | CodebookSet

PROBABILITY_TABLE = np.array(
    [np.floor(255 / (1 + np.exp(-(i - 128 + 0.5) / 16)) + 0.5) for i in range(256)], np.uint8
)


def dims_of(prototypes: AnySet) -> tuple[int, ...]:
    """The dimensions that a set can be matched at."""
    if isinstance(prototypes, CodebookSet):
        return (prototypes.dim,)
    return wire.SET_DIMS[: prototypes.planes]


class Scorer:
    """A prototype set of either format made ready to score batches at one dimension.

    A row is scale times code of every plane, or scale times codeword of every part: integers held
    in floating point, for one product per batch, and exact. |sum| < 255 * 128 * 128 * 256 < 2^53;
    where no sum can reach 2^24, as at 64 dimensions, float32 is exact too and half the work. The
    steps after the product are integers below 2^53 times powers of two, exact as well.
    """

    def __init__(self, prototypes: AnySet, dim: int) -> None:
        if dim not in dims_of(prototypes):
            raise ValueError(f"dimension {dim}: the set holds {dims_of(prototypes)}")
        self.dim = dim
        if isinstance(prototypes, CodebookSet):
            exact, mult, offset = prototypes.rows(), prototypes.mult, prototypes.offset
            rows = exact.astype(np.float64).T
            shift = prototypes.shift
        else:
            plane = wire.SET_DIMS.index(dim)
            mult, offset = prototypes.mult[plane], prototypes.offset[plane]
            rows = scaled_rows(prototypes.codes, prototypes.scale, dim).T
            shift = prototypes.shift[plane]
        largest = 128 * np.abs(rows).sum(axis=0).max(initial=0)
        self._rows: npt.NDArray[np.floating] = np.ascontiguousarray(
            rows.astype(np.float32) if largest < 1 << 24 else rows
        )
        self._mult = mult.astype(np.float64) * 2.0**-shift
        self._offset = offset.astype(np.float64)

    def margins_q8(self, embeddings: Int8) -> Int16:
        """Embeddings int8[B, >=dim] → margins int16[B, K], log-odds x 256."""
        margins, empty = fixed_cosines(embeddings[:, : self.dim], self._rows)
        margins *= self._mult
        np.floor(margins, out=margins)
        margins += self._offset
        np.clip(margins, -32768, 32767, out=margins)
        margins[empty] = wire.SET_MARGIN_NONE
        return margins.astype(np.int16)


def scaled_rows(codes: Int8, scale: npt.NDArray[np.uint8], dim: int) -> npt.NDArray[np.float64]:
    """Codes int8[K, >=dim], scale uint8[P, K] → float64[K, dim] of integers scale * code."""
    rows = codes[:, :dim].astype(np.float64)
    start = 0
    for plane, end in enumerate(wire.SET_DIMS):
        if end > dim:
            break
        rows[:, start:end] *= scale[plane][:, None]
        start = end
    return rows


def fixed_cosines(
    embeddings: Int8, rows: npt.NDArray[np.floating]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Embeddings int8[B, D], rows of integers float[D, K] → (c, whether the embedding is zero).

    c float64[B, K] are integers; the second bool[B].
    """
    exact = embeddings.astype(rows.dtype)
    wide = embeddings.astype(np.int32)
    squares = np.einsum("bd,bd->b", wide, wide)
    # The root of an integer below 2^24 is exact enough in float64 that its floor is right.
    norms = np.floor(np.sqrt(squares.astype(np.float64))).astype(np.int64)
    empty = norms == 0
    inverse = (1 << wire.SET_NORM_SHIFT) // np.where(empty, 1, norms)
    cosines = (exact @ rows).astype(np.float64)
    cosines *= (inverse * 2.0**-wire.SET_COSINE_SHIFT)[:, None]
    return np.floor(cosines, out=cosines), empty


def prob_q8(margins_q8: Int16) -> npt.NDArray[np.uint8]:
    """Probability x 255 of margins, by the table that the device has too."""
    index = np.clip(margins_q8.astype(np.int32) >> wire.SET_MARGIN_TABLE_SHIFT, -128, 127) + 128
    return np.asarray(PROBABILITY_TABLE[index], np.uint8)


def probability_of(margin_q8: int) -> float:
    """What `prob_q8` says of one margin, 0 to 1."""
    index = min(127, max(-128, margin_q8 >> wire.SET_MARGIN_TABLE_SHIFT)) + 128
    return _PROBABILITIES[index]


_PROBABILITIES: list[float] = (PROBABILITY_TABLE / 255).tolist()

"""Boxes from an encoder's cells: the host's twin of `device/kernels/find_boxes.c`.

Both follow "Boxes" in `protocol/SPEC.md`; tests compare for equality.
"""

from dataclasses import dataclass
from math import isqrt

import numpy as np
import numpy.typing as npt
from moteye_protocol import wire
from moteye_protocol.boxes import WireBox
from moteye_protocol.codebook_set import CodebookSet

from moteye.core.scoring import AnySet, scaled_rows

Int8 = npt.NDArray[np.int8]
_TAKEN = -32768


@dataclass(frozen=True)
class _Row:
    """Integers of a row's first entries int64[d], and 2^28 over their length."""

    entries: npt.NDArray[np.int64]
    inverse: int


class BoxFinder:
    """A prototype set made ready to find its rows in cells, at the dimension that is matched at."""

    def __init__(self, prototypes: AnySet, dim: int) -> None:
        width = min(wire.BOX_DIM, dim)
        if isinstance(prototypes, CodebookSet):
            rows = prototypes.rows().astype(np.int64)
        else:
            rows = scaled_rows(prototypes.codes, prototypes.scale, dim).astype(np.int64)
        self._least = prototypes.report_q8
        self._rows: list[_Row | None] = []
        for row in rows[:, :width]:
            length = isqrt(int((row * row).sum()))
            self._rows.append(_Row(row, (1 << 28) // length) if length else None)

    def find(self, cells: Int8, most: int = wire.MAX_BOXES) -> list[WireBox]:
        """Cells int8[side, side, 69] → boxes, best first."""
        side = cells.shape[0]
        flat = cells.reshape(side * side, wire.CELL_BYTES).astype(np.int64)
        edges = cell_edges(flat, side)
        found: list[WireBox] = []
        for number, row in enumerate(self._rows):
            if row is not None:
                margins = _margins(row, flat)
                found += self._of_row(number, margins.tolist(), edges, most)
        # Equal margins keep the order of rows, and within a row that of cells.
        return sorted(found, key=lambda box: -box.margin_q8)[:most]

    def margins_q8(self, cells: Int8) -> list[npt.NDArray[np.int64]]:
        """Cells int8[side, side, 69] → of each row that is not empty its margins int64[side²]."""
        flat = cells.reshape(-1, wire.CELL_BYTES).astype(np.int64)
        return [_margins(row, flat) for row in self._rows if row is not None]

    def _of_row(
        self, row: int, margins: list[int], edges: npt.NDArray[np.int64], most: int
    ) -> list[WireBox]:
        kept: list[WireBox] = []
        order = sorted(range(len(margins)), key=lambda cell: -margins[cell])
        for cell in order:
            if margins[cell] < self._least or len(kept) == most:
                break
            left, top, right, bottom = edges[cell].tolist()
            box = WireBox(row, margins[cell], left, top, right, bottom)
            if not any(same_thing(box, other) for other in kept):
                kept.append(box)
        return kept


def _margins(row: _Row, flat: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    dots = flat[:, : len(row.entries)] @ row.entries
    margins = ((16 * dots * row.inverse) >> 28) + 16 * flat[:, wire.BOX_DIM]
    return np.asarray(np.clip(margins, _TAKEN + 1, 32767), np.int64)


def cell_edges(flat: npt.NDArray[np.int64], side: int) -> npt.NDArray[np.int64]:
    """Cells int64[side², 69] → left, upper, right, lower edge int64[side², 4] on the grid."""
    at = np.arange(side * side)
    step = wire.BOX_GRID // 2
    middles = np.stack(
        [(2 * (at % side) + 1) * step // side, (2 * (at // side) + 1) * step // side]
    )
    away = np.maximum(flat[:, wire.BOX_DIM + 1 :], 0) * (wire.BOX_GRID // 128)
    edges = np.concatenate([middles.T - away[:, :2], middles.T + away[:, 2:]], axis=1)
    return np.asarray(np.clip(edges, 0, wire.BOX_GRID), np.int64)


def same_thing(a: WireBox, b: WireBox) -> bool:
    """Whether two boxes share more than 9/20 of what they cover together."""
    shared = _area(
        max(a.left, b.left), max(a.top, b.top), min(a.right, b.right), min(a.bottom, b.bottom)
    )
    both = _area(a.left, a.top, a.right, a.bottom) + _area(b.left, b.top, b.right, b.bottom)
    return shared * 20 > (both - shared) * 9


def _area(left: int, top: int, right: int, bottom: int) -> int:
    return (right - left) * (bottom - top) if right > left and bottom > top else 0

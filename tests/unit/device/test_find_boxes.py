"""find_boxes against its twin on the host, to the last bit; and what it does by itself."""

import ctypes
from dataclasses import replace

import numpy as np
import pytest
from kernel_library import Kernels, pointer
from moteye.core.found import BoxFinder
from moteye_protocol.boxes import BOX_BYTES, WireBox, unpack_boxes
from moteye_protocol.codebook_set import read_set
from moteye_protocol.wire import BOX_DIM, BOX_GRID, CELL_BYTES, MAX_BOXES
from support.sets import random_codebook
from test_scoring import DIMS, HASH, Parts, open_set

Cells = np.ndarray


def found(
    kernels: Kernels, file: bytes, dim: int, cells: Cells, most: int = MAX_BOXES
) -> list[WireBox]:
    opened, _data = open_set(kernels, file, dim)
    out = np.zeros(most * BOX_BYTES, np.uint8)
    given = np.ascontiguousarray(cells)
    kernels.c.find_boxes.restype = ctypes.c_uint32
    side = cells.shape[0]
    count = kernels.c.find_boxes(ctypes.byref(opened), pointer(given), side, pointer(out), most)
    return unpack_boxes(out[: count * BOX_BYTES].tobytes())


@pytest.mark.parametrize("spread", [1, 10, 60, 200])
@pytest.mark.parametrize("planes", [1, 2, 3, 5])
def test_boxes_of_random_cells_equal_the_hosts(kernels: Kernels, planes: int, spread: int) -> None:
    rng = np.random.default_rng(planes * 1000 + spread)
    several = 0
    for trial in range(12):
        parts = Parts(rng, int(rng.integers(1, 30)), planes, extreme=trial % 4 == 0)
        dim, side = DIMS[int(rng.integers(planes))], int(rng.integers(1, 13))
        cells = rng.normal(0, spread, (side, side, CELL_BYTES)).clip(-128, 127).astype(np.int8)
        file, most = parts.file(), int(rng.integers(1, MAX_BOXES + 1))
        boxes = found(kernels, file, dim, cells, most)
        assert boxes == BoxFinder(read_set(file), dim).find(cells, most)
        several += len(boxes) > 1
    assert several > 0


@pytest.mark.parametrize("dim", [16, 64, 256])
def test_boxes_by_codewords_equal_the_hosts(kernels: Kernels, dim: int) -> None:
    rng = np.random.default_rng(dim)
    # Of widths that do not end at 64 entries, too.
    widths = tuple(rng.permutation([4, 12, *[8] * (dim // 8 - 2)]).tolist())
    prototypes = random_codebook(40, dim, 5, widths=widths if dim <= 128 else ())
    prototypes = replace(prototypes, encoder_hash=HASH)
    cells = rng.normal(0, 60, (6, 6, CELL_BYTES)).clip(-128, 127).astype(np.int8)
    boxes = found(kernels, prototypes.encode(), dim, cells)
    assert boxes == BoxFinder(prototypes, dim).find(cells)
    assert len(boxes) > 1


def one_row(direction: int = 0) -> Parts:
    """A set of one row that points along one entry."""
    parts = Parts(np.random.default_rng(0), 1)
    parts.codes[:], parts.scale[:] = 0, 255
    parts.codes[0, direction] = 7
    return parts


def nothing(side: int) -> Cells:
    cells = np.zeros((side, side, CELL_BYTES), np.int8)
    cells[..., BOX_DIM] = -100
    return cells


def put(cells: Cells, x: int, y: int, logit: int, distances: tuple[int, int, int, int]) -> None:
    cells[y, x, 0], cells[y, x, BOX_DIM] = 16 * logit, 0
    cells[y, x, BOX_DIM + 1 :] = distances


def test_box_stands_around_its_cells_middle(kernels: Kernels) -> None:
    cells = nothing(6)
    put(cells, 4, 1, 3, (10, 20, 5, 127))
    (box,) = found(kernels, one_row().file(), 64, cells)
    middle_x, middle_y = 9 * 2048 // 6, 3 * 2048 // 6
    assert box[2:] == (middle_x - 320, middle_y - 640, middle_x + 160, BOX_GRID)
    assert box.margin_q8 == pytest.approx(3 * 256, abs=2)


def test_same_thing_is_told_once_and_another_beside_it_too(kernels: Kernels) -> None:
    cells = nothing(6)
    put(cells, 1, 1, 3, (20, 20, 20, 20))
    put(cells, 2, 1, 5, (41, 20, 0, 20))
    put(cells, 4, 4, 2, (10, 10, 10, 10))
    boxes = found(kernels, one_row().file(), 64, cells)
    assert [round(box.margin_q8 / 256) for box in boxes] == [5, 2]


def test_row_without_length_and_cells_below_the_set_s_margin_have_no_box(kernels: Kernels) -> None:
    cells = nothing(6)
    put(cells, 1, 1, -1, (20, 20, 20, 20))
    assert found(kernels, one_row().file(), 64, cells) == []
    empty = one_row()
    empty.codes[:] = 0
    put(cells, 1, 1, 7, (20, 20, 20, 20))
    assert found(kernels, empty.file(), 64, cells) == []

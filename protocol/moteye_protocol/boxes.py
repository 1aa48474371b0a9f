"""Boxes as an embedding carries them: 12 bytes each, little-endian."""

import struct
from collections.abc import Iterable
from typing import NamedTuple

from moteye_protocol.wire import BOX_GRID

_BOX = struct.Struct("<HhHHHH")
BOX_BYTES = _BOX.size


class WireBox(NamedTuple):
    """A thing of one row of the set, its margin, and its edges in 1/BOX_GRID of the picture."""

    row: int
    margin_q8: int
    left: int
    top: int
    right: int
    bottom: int


def pack_boxes(boxes: Iterable[WireBox]) -> bytes:
    """The bytes of some boxes."""
    return b"".join(_BOX.pack(*box) for box in boxes)


def unpack_boxes(data: bytes) -> list[WireBox]:
    """The boxes in some bytes. Raises ValueError where they are none."""
    if len(data) % BOX_BYTES:
        raise ValueError(f"{len(data)} bytes are no boxes of {BOX_BYTES} each")
    boxes = [WireBox(*fields) for fields in _BOX.iter_unpack(data)]
    for box in boxes:
        if not (box.left <= box.right <= BOX_GRID and box.top <= box.bottom <= BOX_GRID):
            raise ValueError(f"edges of {box} are not in order, or beyond {BOX_GRID}")
    return boxes

"""Putting a picture together from the chunks that a device sends."""

import zlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from moteye_protocol import wire
from moteye_protocol.models import FrameChunk


@dataclass
class PictureAssembly:
    """The chunks of one picture, in any order, some twice."""

    frame: int
    _chunks: dict[int, bytes] = field(default_factory=dict)
    _first: FrameChunk | None = None

    def add(self, chunk: FrameChunk) -> npt.NDArray[np.uint8] | None:
        """Take a chunk; returns uint8[h, w, 3] when the picture is whole and its CRC-32 right.

        A chunk of another picture or another shape, and a wrong CRC, start the collection anew.
        """
        first = self._first
        if first is None or _shape(first) != _shape(chunk):
            self._first, self._chunks = chunk, {}
        if chunk.w * chunk.h * 3 > wire.MAX_FRAME_BYTES or chunk.i >= chunk.total:
            return None
        self._chunks[chunk.i] = chunk.data
        if len(self._chunks) < chunk.total:
            return None
        data = b"".join(self._chunks[index] for index in range(chunk.total))
        self._first, self._chunks = None, {}
        if len(data) != chunk.w * chunk.h * 3 or zlib.crc32(data) != chunk.crc:
            return None
        return np.frombuffer(data, np.uint8).reshape(chunk.h, chunk.w, 3)


def _shape(chunk: FrameChunk) -> tuple[int, int, int, int, int]:
    return chunk.frame, chunk.total, chunk.w, chunk.h, chunk.crc

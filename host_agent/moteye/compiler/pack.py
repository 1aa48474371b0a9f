"""Records and offsets to the bytes of a `.mpk` (device/kernels/FORMAT.md)."""

import struct
import zlib

import numpy as np

from .plan import ALIGNMENT
from .reader import Graph, Tensor
from .record import Record

FORMAT_VERSION = 2
HEADER_BYTES = 96
_CRC_FROM = 12


class _Data:
    """The data section as it grows: equal constants are stored once."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.bytes = bytearray()
        self._at: dict[tuple[bytes, int], int] = {}

    def add(self, blob: bytes, alignment: int) -> int:
        """Offset of `blob` from the start of the pack."""
        if (blob, alignment) not in self._at:
            self.bytes += bytes(-(self.start + len(self.bytes)) % alignment)
            self._at[blob, alignment] = self.start + len(self.bytes)
            self.bytes += blob
        return self._at[blob, alignment]


def _record_bytes(record: Record) -> int:
    more_inputs = max(len(record.inputs) - 2, 0)
    return 16 + len(record.body) + 4 * (more_inputs + len(record.all_constants()))


def _pack_record(record: Record, offsets: dict[int, int], data: _Data) -> bytes:
    at = [offsets[index] for index in record.inputs]
    second = at[1] if len(at) > 1 else 0
    packed = struct.pack(
        "<HHIII",
        record.kind,
        _record_bytes(record),
        at[0] + record.offsets[0],
        second,
        offsets[record.output] + record.offsets[1],
    )
    places = at[2:] + [data.add(c.data, c.alignment) for c in record.all_constants()]
    return packed + record.body + struct.pack(f"<{len(places)}I", *places)


def _pack_tensor(tensor: Tensor, offset: int) -> bytes:
    dims = [1] * (4 - len(tensor.shape)) + list(tensor.shape)
    scale = np.float32(tensor.scale[0]).tobytes()
    return struct.pack("<I4H4si", offset, *dims, scale, int(tensor.zero_point[0]))


def pack_model(
    graph: Graph, records: list[Record], offsets: dict[int, int], arena_bytes: int
) -> bytes:
    """The pack. `offsets` holds the arena offset of every tensor that records and ends name."""
    ops_bytes = sum(_record_bytes(record) for record in records)
    data_offset = -(-(HEADER_BYTES + ops_bytes) // ALIGNMENT) * ALIGNMENT
    data = _Data(data_offset)
    ops = b"".join(_pack_record(record, offsets, data) for record in records)
    size = data_offset + len(data.bytes)
    macs = sum(record.macs for record in records)
    tail = struct.pack(
        "<8I",
        size,
        len(records),
        HEADER_BYTES,
        ops_bytes,
        data_offset,
        len(data.bytes),
        arena_bytes,
        macs,
    )
    tail += _pack_tensor(graph.tensors[graph.input], offsets[graph.input])
    tail += _pack_tensor(graph.tensors[graph.output], offsets[graph.output])
    tail = tail.ljust(HEADER_BYTES - _CRC_FROM, b"\0") + ops
    tail = tail.ljust(data_offset - _CRC_FROM, b"\0") + data.bytes
    return struct.pack("<4sHHI", b"MEPK", FORMAT_VERSION, HEADER_BYTES, zlib.crc32(tail)) + tail

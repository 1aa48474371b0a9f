# A prototype set made of another and a delta (SPEC, "Delta, format 1"). Rows that are copied are
# copied run by run, so that a set of thousands of rows takes no longer than its bytes do.
import binascii
import struct

from moteye_protocol.wire import (
    DELTA_FORMAT,
    DELTA_MAGIC,
    MAX_CANARIES,
    MAX_ROWS,
    SET_HEADER_BYTES,
)
from set_layout import (
    CANARIES_AT,
    CRC_AT,
    SHIFTS_AT,
    SIZE_AT,
    canaries,
    columns,
    names_section,
    row_count,
    shared,
    whole_dim,
)

_HEAD = "<2sBBHIIh"  # magic, format, flags, rows, number, epoch, report_q8
_COPY = 0x8000
_SHIFTS = 1
_CANARIES = 2


class DeltaError(Exception):
    pass


# Reads a delta from front to back. Raises DeltaError where it ends too soon.
class _Reader:
    def __init__(self, data):
        self._data = memoryview(data)
        self.at = 0

    def take(self, size):
        if self.at + size > len(self._data):
            raise DeltaError("ends too soon")
        self.at += size
        return self._data[self.at - size : self.at]

    def u16(self):
        return struct.unpack("<H", self.take(2))[0]

    def at_end(self):
        return self.at == len(self._data)


# Where names lie in the base; rows are mostly asked for in order.
class _Names:
    def __init__(self, base):
        self._base = base
        self._first, self._bytes = names_section(base)
        self._row = 0
        self._at = self._first

    def left_out(self):
        return self._bytes == 0

    # The bytes of the names of so many rows.
    def of(self, row, count):
        start = self._find(row)
        return self._base[start : self._find(row + count)]

    def _find(self, row):
        if row < self._row:
            self._row = 0
            self._at = self._first
        while self._row < row:
            self._at += 1 + self._base[self._at]
            self._row += 1
        return self._at


# The rows of the new set, as they are put into `out`.
class _Rows:
    def __init__(self, base, out, count):
        self._base = base
        self._out = out
        self._old, _ = columns(base, row_count(base))
        self._new, self.end = columns(base, count)
        if self.end > len(out):
            raise DeltaError("too large")

    def copy(self, source, row, count):
        for (old, size), (new, _) in zip(self._old, self._new):
            self._out[new + row * size : new + (row + count) * size] = self._base[
                old + source * size : old + (source + count) * size
            ]

    def take(self, reader, row):
        for new, size in self._new:
            self._out[new + row * size : new + (row + 1) * size] = reader.take(size)


# Appends to `out` from `at` on. Raises DeltaError where there is no room.
def _append(out, at, data):
    if at + len(data) > len(out):
        raise DeltaError("too large")
    out[at : at + len(data)] = data
    return at + len(data)


# Makes a set in `out`, a memoryview, of `base`, a set that is in use. Returns its size and the rows
# that are not the base's. Raises DeltaError; `out` is then of no use.
def apply(base, delta, out):
    base = memoryview(base)
    reader = _Reader(delta)
    magic, fmt, flags, count, number, epoch, report_q8 = struct.unpack(
        _HEAD, reader.take(struct.calcsize(_HEAD))
    )
    if magic != DELTA_MAGIC or fmt != DELTA_FORMAT or flags > 3 or not 1 <= count <= MAX_ROWS:
        raise DeltaError("not a delta of this format")
    rows = _Rows(base, out, count)
    _clear(out, SET_HEADER_BYTES, rows.end)
    out[: shared(base)] = base[: shared(base)]
    if flags & _SHIFTS:
        out[SHIFTS_AT:CANARIES_AT] = reader.take(CANARIES_AT - SHIFTS_AT)
    # [row in the base, row in the new set or None, where its embedding lies in the base]
    old = [[row, None, start] for row, start in canaries(base)]
    at, added = _all_rows(base, reader, rows, count, out, old)
    names_bytes = at - rows.end
    canary_count, at = _canaries(base, reader, flags, old, out, at)
    if not reader.at_end():
        raise DeltaError("bytes after its end")
    struct.pack_into("<IIHh", out, 16, epoch, number, count, report_q8)
    struct.pack_into("<III", out, SIZE_AT, at, rows.end, names_bytes)
    out[CANARIES_AT] = canary_count
    struct.pack_into("<I", out, CRC_AT, binascii.crc32(out[SET_HEADER_BYTES:at]))
    return at, added


def _clear(out, start, end):
    zeros = bytes(256)
    while start < end:
        size = min(256, end - start)
        out[start : start + size] = zeros[:size]
        start += size


# Goes through the runs: where the names end, and which rows were not copied.
def _all_rows(base, reader, rows, count, out, old):
    base_count = row_count(base)
    names = _Names(base)
    added = []
    at = rows.end
    row = 0
    while row < count:
        head = reader.u16()
        length = head & ~_COPY
        if not 1 <= length <= count - row:
            raise DeltaError("rows do not add up")
        if head & _COPY:
            source = reader.u16()
            if source + length > base_count:
                raise DeltaError("a row that the base does not have")
            rows.copy(source, row, length)
            if not names.left_out():
                at = _append(out, at, names.of(source, length))
            for canary in old:
                if canary[1] is None and source <= canary[0] < source + length:
                    canary[1] = row + canary[0] - source
        else:
            for index in range(row, row + length):
                rows.take(reader, index)
                if not names.left_out():
                    size = reader.take(1)
                    at = _append(out, at, size)
                    at = _append(out, at, reader.take(size[0]))
                added.append(index)
        row += length
    return at, added


def _canaries(base, reader, flags, old, out, at):
    size = whole_dim(base)
    kept = 0xFF
    added = 0
    if flags & _CANARIES:
        kept, added = reader.take(2)
    count = 0
    for index, (_, row, start) in enumerate(old):
        if kept >> index & 1 and row is not None:
            at = _append(out, at, struct.pack("<H", row))
            at = _append(out, at, base[start : start + size])
            count += 1
    if count + added > MAX_CANARIES:
        raise DeltaError("too many canaries")
    return count + added, _append(out, at, reader.take(added * (2 + size)))

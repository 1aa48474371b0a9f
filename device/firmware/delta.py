# A prototype set made of another and a delta (SPEC, "Delta, format 1").
import binascii
import struct

from moteye_protocol.wire import (
    DELTA_FORMAT,
    DELTA_MAGIC,
    MAX_CANARIES,
    MAX_ROWS,
    SET_HEADER_BYTES,
    SET_PLANE_WIDTHS,
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


# Where the parts of a set with so many rows lie: for each plane (width, nibbles, scale, mult,
# offset), then where the names begin.
def _lay_out(planes, count):
    at = SET_HEADER_BYTES
    found = []
    for width in SET_PLANE_WIDTHS[:planes]:
        scale = at + count * width // 2
        mult = (scale + count + 3) & ~3
        found.append((width, at, scale, mult, mult + 2 * count))
        at = (mult + 4 * count + 3) & ~3
    return found, at


# One row of one set: where it is copied from, or where it goes.
def _copy_row(base, old, source, out, new, row):
    for (width, nibbles, scale, mult, offset), (_, nibbles2, scale2, mult2, offset2) in zip(
        old, new
    ):
        half = width // 2
        out[nibbles2 + row * half : nibbles2 + (row + 1) * half] = base[
            nibbles + source * half : nibbles + (source + 1) * half
        ]
        out[scale2 + row] = base[scale + source]
        out[mult2 + 2 * row : mult2 + 2 * row + 2] = base[mult + 2 * source : mult + 2 * source + 2]
        out[offset2 + 2 * row : offset2 + 2 * row + 2] = base[
            offset + 2 * source : offset + 2 * source + 2
        ]


def _take_row(reader, out, new, row):
    for width, nibbles, scale, mult, offset in new:
        half = width // 2
        out[nibbles + row * half : nibbles + (row + 1) * half] = reader.take(half)
        out[scale + row] = reader.take(1)[0]
        out[mult + 2 * row : mult + 2 * row + 2] = reader.take(2)
        out[offset + 2 * row : offset + 2 * row + 2] = reader.take(2)


# Appends to `out` from `at` on. Raises DeltaError where there is no room.
def _append(out, at, data):
    if at + len(data) > len(out):
        raise DeltaError("too large")
    out[at : at + len(data)] = data
    return at + len(data)


def _names_of(base, at, count):
    found = []
    for _ in range(count):
        found.append(at)
        at += 1 + base[at]
    return found


# Makes a set in `out`, a memoryview, of `base`, a set that is in use. Returns its size and the rows
# that are not the base's. Raises DeltaError; `out` is then of no use.
def apply(base, delta, out):
    reader = _Reader(delta)
    magic, fmt, flags, count, number, epoch, report_q8 = struct.unpack(
        _HEAD, reader.take(struct.calcsize(_HEAD))
    )
    if magic != DELTA_MAGIC or fmt != DELTA_FORMAT or flags > 3 or not 1 <= count <= MAX_ROWS:
        raise DeltaError("not a delta of this format")
    planes = base[6]
    base_count = struct.unpack_from("<H", base, 24)[0]
    old, names_at = _lay_out(planes, base_count)
    new, names_at2 = _lay_out(planes, count)
    if names_at2 > len(out):
        raise DeltaError("too large")
    out[:names_at2] = bytes(names_at2)
    out[:SET_HEADER_BYTES] = base[:SET_HEADER_BYTES]
    if flags & _SHIFTS:
        out[44:49] = reader.take(5)
    names = _names_of(base, names_at, base_count)
    moved = {}
    added = []
    at = names_at2
    row = 0
    while row < count:
        head = reader.u16()
        length = head & ~_COPY
        if not 1 <= length <= count - row:
            raise DeltaError("rows do not add up")
        source = reader.u16() if head & _COPY else None
        if source is not None and source + length > base_count:
            raise DeltaError("a row that the base does not have")
        for index in range(length):
            if source is None:
                _take_row(reader, out, new, row)
                size = reader.take(1)[0]
                at = _append(out, at, bytes((size,)))
                at = _append(out, at, reader.take(size))
                added.append(row)
            else:
                _copy_row(base, old, source + index, out, new, row)
                start = names[source + index]
                at = _append(out, at, base[start : start + 1 + base[start]])
                if source + index not in moved:
                    moved[source + index] = row
            row += 1
    names_bytes = at - names_at2
    canaries, at = _canaries(base, reader, flags, moved, out, at)
    if not reader.at_end():
        raise DeltaError("bytes after its end")
    struct.pack_into("<IIHh", out, 16, epoch, number, count, report_q8)
    struct.pack_into("<III", out, 28, at, names_at2, names_bytes)
    out[49] = canaries
    struct.pack_into("<I", out, 40, binascii.crc32(out[SET_HEADER_BYTES:at]))
    return at, added


def _canaries(base, reader, flags, moved, out, at):
    size = sum(SET_PLANE_WIDTHS[: base[6]])
    kept = 0xFF
    added = 0
    if flags & _CANARIES:
        kept, added = reader.take(2)
    names_at, names_bytes = struct.unpack_from("<II", base, 32)
    count = 0
    for index in range(base[49]):
        start = names_at + names_bytes + index * (2 + size)
        row = moved.get(struct.unpack_from("<H", base, start)[0])
        if kept >> index & 1 and row is not None:
            at = _append(out, at, struct.pack("<H", row))
            at = _append(out, at, base[start + 2 : start + 2 + size])
            count += 1
    if count + added > MAX_CANARIES:
        raise DeltaError("too many canaries")
    return count + added, _append(out, at, reader.take(added * (2 + size)))

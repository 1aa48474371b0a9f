# The wire codec: the part of msgpack that moteye speaks. One source for CPython and MicroPython.
#
# Spoken: nil, bool, integers of -2^63..2^64-1, str (UTF-8), bin, array, map with str keys; float is
# read (32 and 64 bit) and written as 64 bit. Not spoken: ext types, duplicate keys, trailing bytes.
# A length is checked against the bytes that are there before anything is allocated for it.
# Format: https://github.com/msgpack/msgpack/blob/master/spec.md
import struct

from moteye_protocol.wire import MAX_DEPTH, MAX_ITEMS


# What is wrong with a payload, and at which byte.
class WireError(ValueError):
    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__("%s at byte %d" % (reason, offset))
        self.reason = reason
        self.offset = offset


# pack(value) -> bytes. Raises WireError for a type or a size that the wire does not carry.
def pack(value: object) -> bytes:
    out = bytearray()
    _pack(value, out, 0)
    return bytes(out)


def _pack(value: object, out: bytearray, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise WireError("nested deeper than %d" % MAX_DEPTH, len(out))
    if value is None:
        out.append(0xC0)
    elif value is True:
        out.append(0xC3)
    elif value is False:
        out.append(0xC2)
    elif isinstance(value, int):
        _pack_int(value, out)
    elif isinstance(value, str):
        raw = value.encode()
        _pack_head(len(raw), out, 0xA0, 32, 0xD9)
        out.extend(raw)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        _pack_head(len(value), out, 0, 0, 0xC4)
        out.extend(value)
    elif isinstance(value, (list, tuple)):
        _check_items(len(value), len(out))
        _pack_head(len(value), out, 0x90, 16, 0xDB)
        for item in value:
            _pack(item, out, depth + 1)
    elif isinstance(value, dict):
        _check_items(len(value), len(out))
        _pack_head(len(value), out, 0x80, 16, 0xDD)
        for key in value:
            if not isinstance(key, str):
                raise WireError("map key is not a string", len(out))
            _pack(key, out, depth + 1)
            _pack(value[key], out, depth + 1)
    elif isinstance(value, float):
        out.extend(struct.pack(">Bd", 0xCB, value))
    else:
        raise WireError("cannot carry %s" % type(value).__name__, len(out))


def _pack_int(value: int, out: bytearray) -> None:
    if -32 <= value < 128:
        out.append(value & 0xFF)
    elif 0 <= value < 0x100:
        out.extend(struct.pack(">BB", 0xCC, value))
    elif 0 <= value < 0x10000:
        out.extend(struct.pack(">BH", 0xCD, value))
    elif 0 <= value < 0x100000000:
        out.extend(struct.pack(">BI", 0xCE, value))
    elif 0 <= value < 0x10000000000000000:
        out.extend(struct.pack(">BQ", 0xCF, value))
    elif -0x80 <= value < 0:
        out.extend(struct.pack(">Bb", 0xD0, value))
    elif -0x8000 <= value < 0:
        out.extend(struct.pack(">Bh", 0xD1, value))
    elif -0x80000000 <= value < 0:
        out.extend(struct.pack(">Bi", 0xD2, value))
    elif -0x8000000000000000 <= value < 0:
        out.extend(struct.pack(">Bq", 0xD3, value))
    else:
        raise WireError("integer of more than 64 bits", len(out))


# The shortest head for a length: fix form below `fix_below`, then 8 (str, bin), 16, 32 bit.
# `wide` is the tag of the 8-bit form; arrays and maps have none, so theirs names the slot before.
def _pack_head(length: int, out: bytearray, fix: int, fix_below: int, wide: int) -> None:
    if length < fix_below:
        out.append(fix | length)
    elif length < 0x100 and wide in (0xD9, 0xC4):
        out.extend(struct.pack(">BB", wide, length))
    elif length < 0x10000:
        out.extend(struct.pack(">BH", wide + 1, length))
    else:
        out.extend(struct.pack(">BI", wide + 2, length))


def _check_items(count: int, offset: int) -> None:
    if count > MAX_ITEMS:
        raise WireError("more than %d items" % MAX_ITEMS, offset)


# unpack(payload) -> value. Raises WireError; never another exception, whatever the bytes.
# bin values come back as bytes.
def unpack(payload: bytes) -> object:
    reader = _Reader(payload)
    value = reader.value(0)
    if reader.at != len(payload):
        raise WireError("trailing bytes", reader.at)
    return value


class _Reader:
    def __init__(self, payload: bytes) -> None:
        self.payload = memoryview(payload)
        self.at = 0

    def take(self, length: int) -> memoryview:
        start = self.at
        if length > len(self.payload) - start:
            raise WireError("cut short: %d bytes wanted" % length, start)
        self.at = start + length
        return self.payload[start : start + length]

    def number(self, form: str, size: int) -> int:
        return struct.unpack(form, self.take(size))[0]  # type: ignore[no-any-return]

    def value(self, depth: int) -> object:
        start = self.at
        if depth > MAX_DEPTH:
            raise WireError("nested deeper than %d" % MAX_DEPTH, start)
        tag = self.take(1)[0]
        if tag < 0x80:
            return tag
        if tag >= 0xE0:
            return tag - 0x100
        if tag < 0x90:
            return self.mapping(tag & 0x0F, depth, start)
        if tag < 0xA0:
            return self.array(tag & 0x0F, depth, start)
        if tag < 0xC0:
            return self.text(tag & 0x1F, start)
        if tag in _NUMBERS:
            form, size = _NUMBERS[tag]
            return self.number(form, size)
        if tag in _CONSTANTS:
            return _CONSTANTS[tag]
        if tag in _SIZES:
            form, size = _SIZES[tag]
            length = self.number(form, size)
            if tag <= 0xC6:
                return bytes(self.take(length))
            if tag <= 0xDB:
                return self.text(length, start)
            if tag <= 0xDD:
                return self.array(length, depth, start)
            return self.mapping(length, depth, start)
        raise WireError("type 0x%02x is not spoken here" % tag, start)

    def text(self, length: int, start: int) -> str:
        raw = bytes(self.take(length))
        try:
            return raw.decode()
        except (UnicodeError, ValueError):
            raise WireError("string is not UTF-8", start) from None

    def array(self, count: int, depth: int, start: int) -> list[object]:
        _check_items(count, start)
        return [self.value(depth + 1) for _ in range(count)]

    def mapping(self, count: int, depth: int, start: int) -> dict[str, object]:
        _check_items(count, start)
        found: dict[str, object] = {}
        for _ in range(count):
            at = self.at
            key = self.value(depth + 1)
            if not isinstance(key, str):
                raise WireError("map key is not a string", at)
            if key in found:
                raise WireError("key %r twice" % key, at)
            found[key] = self.value(depth + 1)
        return found


_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
_NUMBERS = {
    0xCA: (">f", 4),
    0xCB: (">d", 8),
    0xCC: (">B", 1),
    0xCD: (">H", 2),
    0xCE: (">I", 4),
    0xCF: (">Q", 8),
    0xD0: (">b", 1),
    0xD1: (">h", 2),
    0xD2: (">i", 4),
    0xD3: (">q", 8),
}
_SIZES = {
    0xC4: (">B", 1),
    0xC5: (">H", 2),
    0xC6: (">I", 4),
    0xD9: (">B", 1),
    0xDA: (">H", 2),
    0xDB: (">I", 4),
    0xDC: (">H", 2),
    0xDD: (">I", 4),
    0xDE: (">H", 2),
    0xDF: (">I", 4),
}

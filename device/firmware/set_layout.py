# Where the rows of a prototype set lie in its file, for both formats (SPEC, "Prototype set file").
import struct

from moteye_protocol.wire import SET_CODEBOOK_FORMAT, SET_DIMS, SET_HEADER_BYTES, SET_PLANE_WIDTHS

# Fields of the header.
SIZE_AT = 28
NAMES_AT = 32
CRC_AT = 40
SHIFTS_AT = 44
CANARIES_AT = 49
PARTS_AT = 50

_WORDS = 256


def _align_4(at):
    return (at + 3) & ~3


def is_codebook(data):
    return data[4] == SET_CODEBOOK_FORMAT


def row_count(data):
    return struct.unpack_from("<H", data, 24)[0]


# Of all planes.
def whole_dim(data):
    return SET_DIMS[data[6] - 1]


# Where the names begin, and how many bytes they take.
def names_section(data):
    return struct.unpack_from("<II", data, NAMES_AT)


# A canary's bytes: the row that answers to it, then its embedding.
def canary_bytes(data):
    return 2 + whole_dim(data)


# (row, where the embedding lies) of each canary, behind the names.
def canaries(data):
    size = canary_bytes(data)
    at = sum(names_section(data))
    for _ in range(data[CANARIES_AT]):
        yield struct.unpack_from("<H", data, at)[0], at + 2
        at += size


# The columns of a set with so many rows, as (where it begins, bytes a row), in the order in which a
# delta carries a row; and where the names begin. data: a set whose header, and codebook, it shares.
def columns(data, count):
    if is_codebook(data):
        parts = data[PARTS_AT]
        codes = _align_4(SET_HEADER_BYTES + 2 * parts) + _WORDS * whole_dim(data)
        mult = _align_4(codes + count * parts)
        end = _align_4(mult + 4 * count)
        return [(codes, parts), (mult, 2), (mult + 2 * count, 2)], end
    at = SET_HEADER_BYTES
    found = []
    for width in SET_PLANE_WIDTHS[: data[6]]:
        scale = at + count * width // 2
        mult = _align_4(scale + count)
        found += [(at, width // 2), (scale, 1), (mult, 2), (mult + 2 * count, 2)]
        at = _align_4(mult + 4 * count)
    return found, at


# What all rows of a codebook share, from the header's end to its first code; nothing in format 1.
def shared(data):
    return columns(data, 0)[0][0][0] if is_codebook(data) else SET_HEADER_BYTES


# The embedding that the row stands for at `dim`, int8 in a bytearray.
def row_embedding(data, row, dim):
    values = []
    if is_codebook(data):
        _codewords(data, row, values)
    else:
        for width, (nibbles, half), (scale, _) in _planes(data):
            if len(values) >= dim:
                break
            factor = data[scale + row]
            for byte in data[nibbles + row * half : nibbles + (row + 1) * half]:
                for nibble in (byte & 15, byte >> 4):
                    values.append((nibble - 16 if nibble > 7 else nibble) * factor)
    largest = max(1, max(max(values), -min(values)))
    return bytearray([value * 127 // largest & 255 for value in values])


def _planes(data):
    found, _ = columns(data, row_count(data))
    for index in range(data[6]):
        yield SET_PLANE_WIDTHS[index], found[4 * index], found[4 * index + 1]


def _codewords(data, row, values):
    parts = data[PARTS_AT]
    at = _align_4(SET_HEADER_BYTES + 2 * parts)
    codes = columns(data, row_count(data))[0][0][0] + row * parts
    for part in range(parts):
        width, scale = data[SET_HEADER_BYTES + part], data[SET_HEADER_BYTES + parts + part]
        word = at + data[codes + part] * width
        for byte in data[word : word + width]:
            values.append((byte - 256 if byte > 127 else byte) * scale)
        at += _WORDS * width

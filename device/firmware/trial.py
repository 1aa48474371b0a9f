# What a received set must do before it counts, beside seeing frames and reaching the broker.
import struct

from moteye_protocol.wire import SET_HEADER_BYTES, SET_PLANE_WIDTHS

_PLANES_AT = 6
_COUNT_AT = 24
_NAMES_AT = 32
_CANARIES_AT = 49
_MAX_SAMPLED = 16


# Rows spread over a set of so many, the first and the last among them.
def sample_rows(count):
    if count <= _MAX_SAMPLED:
        return range(count)
    return [index * (count - 1) // (_MAX_SAMPLED - 1) for index in range(_MAX_SAMPLED)]


# The embedding that the row stands for, int8 in a bytearray, from the file of a set.
def row_embedding(data, row, dim):
    count = struct.unpack_from("<H", data, _COUNT_AT)[0]
    at = SET_HEADER_BYTES
    values = []
    for width in SET_PLANE_WIDTHS:
        if len(values) >= dim:
            break
        scale = data[at + count * width // 2 + row]
        for byte in data[at + row * width // 2 : at + (row + 1) * width // 2]:
            for nibble in (byte & 15, byte >> 4):
                values.append((nibble - 16 if nibble > 7 else nibble) * scale)
        at = (at + count * (width // 2 + 1) + 3) & ~3
        at = (at + count * 4 + 3) & ~3
    largest = max(1, max(max(values), -min(values)))
    return bytearray([value * 127 // largest & 255 for value in values])


# "ok", "canary" where an embedding that the set carries is not answered by the row it names, or
# "self_test" where one of `rows` does not answer to itself. found: the set in use (ActiveSet).
def self_test(found, data, dim, rows):
    code = _canaries(found, data)
    if code != "ok":
        return code
    for row in rows:
        found.prototypes.match(row_embedding(data, row, dim), found.margins)
        if found.margins[row] < found.report_q8:
            return "self_test"
    return "ok"


def _canaries(found, data):
    names_at, names_bytes = struct.unpack_from("<II", data, _NAMES_AT)
    size = 2 + sum(SET_PLANE_WIDTHS[: data[_PLANES_AT]])
    margins = found.margins
    for index in range(data[_CANARIES_AT]):
        at = names_at + names_bytes + index * size
        row = struct.unpack_from("<H", data, at)[0]
        found.prototypes.match(data[at + 2 : at + size], margins)
        best = margins[row]
        for margin in margins:
            if margin > best:
                return "canary"
    return "ok"

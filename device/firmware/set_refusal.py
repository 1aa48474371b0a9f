# Which field of a prototype set's header makes this device refuse it, as a code of SPEC.md (T30).
# Asked only for a set that `vision` would not open: that one decides, this one names.
import binascii
import struct

from moteye_protocol.wire import (
    MAX_CANARIES,
    MAX_ROWS,
    SET_BITS,
    SET_CODEBOOK_BITS,
    SET_CODEBOOK_FORMAT,
    SET_DIMS,
    SET_FORMAT,
    SET_HEADER_BYTES,
    SET_MAGIC,
    SET_MAX_PARTS,
    SET_PREPROCESSING,
)
from set_layout import (
    CANARIES_AT,
    CRC_AT,
    PARTS_AT,
    SHIFTS_AT,
    SIZE_AT,
    canary_bytes,
    columns,
    is_codebook,
    names_section,
    row_count,
    whole_dim,
)

_MAX_SHIFT = 63


# data: the whole file. encoder_hash, dim: the device's own.
def refusal(data, encoder_hash, dim):
    if len(data) < SET_HEADER_BYTES or data[:4] != SET_MAGIC:
        return "bad_magic"
    return (
        _format(data)
        or _whole(data)
        or _header(data)
        or _sections(data)
        or _partner(data, encoder_hash, dim)
        or "bad_set"
    )


def _format(data):
    if data[4] not in (SET_FORMAT, SET_CODEBOOK_FORMAT):
        return "bad_format"
    if data[5] != (SET_CODEBOOK_BITS if is_codebook(data) else SET_BITS):
        return "bad_bits"
    return None if data[7] == SET_PREPROCESSING else "bad_preprocessing"


def _whole(data):
    if struct.unpack_from("<I", data, SIZE_AT)[0] != len(data):
        return "bad_size"
    found = binascii.crc32(memoryview(data)[SET_HEADER_BYTES:])
    return None if struct.unpack_from("<I", data, CRC_AT)[0] == found else "bad_crc"


def _header(data):
    if not 1 <= data[6] <= len(SET_DIMS):
        return "bad_planes"
    if not 1 <= row_count(data) <= MAX_ROWS:
        return "bad_rows"
    if max(data[SHIFTS_AT : SHIFTS_AT + data[6]]) > _MAX_SHIFT:
        return "bad_shift"
    if data[CANARIES_AT] > MAX_CANARIES:
        return "bad_canaries"
    if not (1 <= data[PARTS_AT] <= SET_MAX_PARTS if is_codebook(data) else data[PARTS_AT] == 0):
        return "bad_parts"
    return "bad_reserved" if any(data[PARTS_AT + 1 : SET_HEADER_BYTES]) else None


# Rows, names and canaries fill the file, one behind the other. Which field is to blame where they
# do not: names and canaries that end with the file leave the rows, or the planes they are made of.
def _sections(data):
    at, size = names_section(data)
    rows_end = columns(data, row_count(data))[1]
    canaries = data[CANARIES_AT] * canary_bytes(data)
    if at != rows_end:
        return "bad_rows" if at + size + canaries == len(data) else "bad_names"
    if at + size + canaries == len(data):
        return None
    return "bad_canaries" if _names_end(data, at) == at + size else "bad_names"


def _names_end(data, at):
    for _ in range(row_count(data)):
        if at >= len(data):
            return None
        at += 1 + data[at]
    return at


def _partner(data, encoder_hash, dim):
    if bytes(data[8:16]) != encoder_hash:
        return "wrong_encoder"
    held = (whole_dim(data),) if is_codebook(data) else SET_DIMS[: data[6]]
    return None if dim in held else "wrong_dim"

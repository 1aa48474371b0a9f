"""A prototype set as the difference to another: rows added, replaced and removed.

Layout: `protocol/SPEC.md`, "Delta, format 1". Host only; a device applies it with
`device/firmware/delta.py`, and a test compares the two.
"""

import struct

from moteye_protocol import wire
from moteye_protocol.prototype_set import HEADER, PrototypeSet, decode

HEAD = struct.Struct("<2sBBHIIh")
MAX_RUN = 0x7FFF
COPY = 0x8000
SHIFTS = 1
CANARIES = 2
Canaries = tuple[tuple[int, bytes], ...]


def encode_delta(base: bytes, target: bytes) -> bytes | None:
    """What makes `target` of `base`; None where the two are too different in kind.

    The caller compares its size with the target's.
    """
    old, new = decode(base), decode(target)
    if old.planes != new.planes or old.encoder_hash != new.encoder_hash:
        return None
    rows = {row: index for index, row in reversed(list(enumerate(_rows(old))))}
    wanted = _rows(new)
    sources = [rows.get(row) for row in wanted]
    flags = SHIFTS if HEADER.unpack_from(base)[14] != HEADER.unpack_from(target)[14] else 0
    kept, added = _canaries(old.canaries, new.canaries, sources)
    if kept != (1 << len(old.canaries)) - 1 or added:
        flags |= CANARIES
    out = bytearray(
        HEAD.pack(
            wire.DELTA_MAGIC,
            wire.DELTA_FORMAT,
            flags,
            len(wanted),
            new.number,
            new.epoch,
            new.report_q8,
        )
    )
    if flags & SHIFTS:
        out += bytes(new.shift).ljust(len(wire.SET_DIMS), b"\0")
    for start, source, length in _runs(sources):
        if source is None:
            out += struct.pack("<H", length) + b"".join(wanted[start : start + length])
        else:
            out += struct.pack("<HH", COPY | length, source)
    if flags & CANARIES:
        out += bytes([kept, len(added)])
        for row, embedding in added:
            out += struct.pack("<H", row) + embedding
    return bytes(out)


def _canaries(old: Canaries, new: Canaries, sources: list[int | None]) -> tuple[int, Canaries]:
    """Which of the old canaries go on, a bit each, with their rows' new numbers; and the others."""
    kept = found = 0
    for index, (row, embedding) in enumerate(old):
        moved = (sources.index(row), embedding) if row in sources else None
        if found < len(new) and new[found] == moved:
            kept |= 1 << index
            found += 1
    return kept, new[found:]


def _rows(prototypes: PrototypeSet) -> list[bytes]:
    """Each row as a delta carries it: by plane nibbles, scale, mult, offset; then its name."""
    found = []
    for row, name in enumerate(prototypes.names):
        out = bytearray()
        start = 0
        for plane, width in enumerate(wire.SET_PLANE_WIDTHS[: prototypes.planes]):
            codes = prototypes.codes[row, start : start + width].astype("u1") & 15
            start += width
            out += (codes[0::2] | codes[1::2] << 4).tobytes()
            out += struct.pack(
                "<BHh",
                int(prototypes.scale[plane, row]),
                int(prototypes.mult[plane, row]),
                int(prototypes.offset[plane, row]),
            )
        raw = name.encode()
        found.append(bytes(out) + bytes([len(raw)]) + raw)
    return found


def _runs(sources: list[int | None]) -> list[tuple[int, int | None, int]]:
    """(first row, its row in the base or None, how many): neighbours that go on alike."""
    runs: list[tuple[int, int | None, int]] = []
    for row, source in enumerate(sources):
        if runs:
            start, first, length = runs[-1]
            follows = source is None if first is None else source == first + length
            if follows and length < MAX_RUN:
                runs[-1] = (start, first, length + 1)
                continue
        runs.append((row, source, 1))
    return runs

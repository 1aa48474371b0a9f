"""A prototype set as the difference to another: rows added, replaced and removed.

Layout: `protocol/SPEC.md`, "Delta, format 1". Host only; a device applies it with
`device/firmware/delta.py`, and a test compares the two.
"""

import struct

from moteye_protocol import wire
from moteye_protocol.codebook_set import CodebookSet, read_set
from moteye_protocol.prototype_set import PrototypeSet
from moteye_protocol.set_file import HEADER, Canaries

HEAD = struct.Struct("<2sBBHIIh")
MAX_RUN = 0x7FFF
COPY = 0x8000
SHIFTS = 1
CANARIES = 2


def encode_delta(base: bytes, target: bytes) -> bytes | None:
    """What makes `target` of `base`; None where the two are too different in kind.

    The caller compares its size with the target's.
    """
    old, new = read_set(base), read_set(target)
    if not _of_one_kind(old, new):
        return None
    wanted = _rows(new)
    sources = _sources(_rows(old), wanted)
    shifts = HEADER.unpack_from(target)[14]
    flags = SHIFTS if HEADER.unpack_from(base)[14] != shifts else 0
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
        out += shifts
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


def _sources(rows: list[bytes], wanted: list[bytes]) -> list[int | None]:
    """For each wanted row an equal one of the base; among several the one that goes on a run."""
    first = {row: index for index, row in reversed(list(enumerate(rows)))}
    found: list[int | None] = []
    for row in wanted:
        after = found[-1] + 1 if found and found[-1] is not None else len(rows)
        found.append(after if after < len(rows) and rows[after] == row else first.get(row))
    return found


def _of_one_kind(old: PrototypeSet | CodebookSet, new: PrototypeSet | CodebookSet) -> bool:
    """Whether rows of one can stand in the other."""
    if old.encoder_hash != new.encoder_hash or old.dim != new.dim:
        return False
    if isinstance(old, CodebookSet) and isinstance(new, CodebookSet):
        alike = old.widths == new.widths and bool(old.names) == bool(new.names)
        return alike and bool((old.scales == new.scales).all() and (old.words == new.words).all())
    return isinstance(old, PrototypeSet) and isinstance(new, PrototypeSet)


def _rows(prototypes: PrototypeSet | CodebookSet) -> list[bytes]:
    """Each row as a delta carries it: by column; then its name, where the set has names."""
    if isinstance(prototypes, CodebookSet):
        return _codebook_rows(prototypes)
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


def _codebook_rows(prototypes: CodebookSet) -> list[bytes]:
    found = []
    for row in range(prototypes.count):
        raw = prototypes.names[row].encode() if prototypes.names else None
        calibration = struct.pack("<Hh", int(prototypes.mult[row]), int(prototypes.offset[row]))
        name = b"" if raw is None else bytes([len(raw)]) + raw
        found.append(prototypes.codes[row].tobytes() + calibration + name)
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

"""The list of operators that a firmware needs for its pack: the others are not linked."""

import struct

from .error import ModelError
from .kinds import NAMES


def record_kinds(pack: bytes) -> list[int]:
    """The kind of each record of a pack, in their order."""
    count, at = struct.unpack_from("<2I", pack, 16)
    kinds = []
    for _ in range(count):
        kind, size = struct.unpack_from("<2H", pack, at)
        kinds.append(kind)
        at += size
    return kinds


def record_name(kind: int) -> str:
    """What runs records of a kind."""
    return NAMES.get(kind, f"custom {kind}")


def operators_source(pack: bytes) -> str:
    """The C file that stands in for device/kernels/model_operators.c: what this pack runs.

    Raises ModelError for a custom operator, whose name in C is its author's affair.
    """
    kinds = sorted(set(record_kinds(pack)))
    custom = [kind for kind in kinds if kind not in NAMES]
    if custom:
        raise ModelError(f"record kinds {custom} are custom: write the list by hand")
    lines = "\n".join(f"    &{NAMES[kind]}_operator," for kind in kinds)
    return (
        '#include "model_operator.h"\n\n'
        f"const model_operator_t *const model_operators[] = {{\n{lines}\n    NULL,\n}};\n"
    )

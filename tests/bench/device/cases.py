"""The lists that check_*.c run (cases.h)."""

import struct
from collections.abc import Iterable

import numpy as np

END = bytes(16)


def case(words: tuple[int, int, int, int], *parts: bytes) -> bytes:
    """Four words and what follows, each part padded to 16 bytes."""
    padded = [part + bytes(-len(part) % 16) for part in parts]
    return struct.pack("<4I", *words) + b"".join(padded)


def model_case(pack: bytes, values: np.ndarray, output: np.ndarray) -> bytes:
    """For check_models.c: an input, and the output that a pack has to give."""
    words = (len(pack), values.nbytes, output.nbytes, 0)
    return case(words, pack, values.tobytes(), output.tobytes())


def ended(cases: Iterable[bytes]) -> bytes:
    """The list of some cases."""
    return b"".join([*cases, END])

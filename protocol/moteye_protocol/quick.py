"""Unpacking on the host, where a message is what most are: a flat map.

`msgpack` reads it in C and this module checks what the wire adds. Whatever is not so plain, or
wrong, goes to the codec, whose word counts: what is accepted and what it means is always the same.
"""

from typing import Any

import msgpack

from moteye_protocol import codec
from moteye_protocol.wire import MAX_ITEMS

_FLAT = {int, str, bytes, type(None), bool, float}


def unpack(payload: bytes) -> object:
    """The value in `payload`, as `codec.unpack` has it. Raises WireError and nothing else."""
    try:
        value = msgpack.unpackb(
            payload,
            object_pairs_hook=_flat,
            max_map_len=MAX_ITEMS,
            max_array_len=0,
            max_ext_len=0,
        )
    except (ValueError, msgpack.UnpackException, RecursionError):
        return codec.unpack(payload)
    return value if type(value) is dict else codec.unpack(payload)


def _flat(pairs: list[tuple[Any, Any]]) -> dict[str, object]:
    """The map of `pairs`; ValueError for a nested one, a key twice or a key that is no text."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    for key, value in pairs:
        if type(key) is not str or type(value) not in _FLAT:
            raise ValueError("not a flat map")
    return found

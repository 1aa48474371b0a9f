"""Prototype sets for the kit, and the ways to hand them to a device."""

import hashlib
import secrets
from dataclasses import replace
from typing import Any

import numpy as np
from moteye_protocol import wire
from moteye_protocol.prototype_set import PrototypeSet, decode, header_of, set_hash
from moteye_protocol.signing import MANIFEST, sign_manifest

from moteye.conformance.bench import Bench, Failed, Fields, NotTried
from moteye.core.scoring import Scorer

ROWS = 12
SEVERAL_CHUNKS = 80  # rows of a set that takes several chunks
ENDS = ("confirmed", "refused", "reverted")


def a_set(bench: Bench, *, rows: int = ROWS, **changes: Any) -> bytes:
    """A set of random prototypes that nobody has seen; each row is told for any frame.

    `changes` are fields of PrototypeSet. Raises NotTried where the device has no room for it.
    """
    birth = bench.birth
    dim = birth["dim"]
    planes = wire.SET_DIMS.index(dim) + 1
    source = np.random.default_rng(secrets.randbits(64))
    made = PrototypeSet(
        encoder_hash=birth["encoder"],
        number=int(source.integers(1, 1000)),
        names=tuple(f"class {row}" for row in range(rows)),
        codes=source.integers(-8, 8, (rows, dim)).astype(np.int8),
        scale=source.integers(1, 200, (planes, rows)).astype(np.uint8),
        mult=source.integers(0, 65536, (planes, rows)).astype(np.uint16),
        offset=source.integers(-500, 500, (planes, rows)).astype(np.int16),
        shift=(28,) * planes,
        report_q8=-32000,
        epoch=floor_of(bench),
    )
    data = replace(made, **changes).encode()
    if len(data) > birth["max_set"]:
        raise NotTried(f"the device takes no set of {len(data)} bytes")
    return data


def failing_set(bench: Bench, **changes: Any) -> bytes:
    """A good file that must fail its trial: its canary is not answered by the row it names."""
    good = decode(a_set(bench, **changes))
    embedding = np.random.default_rng(secrets.randbits(64)).integers(-128, 128, good.dim)
    e = embedding.astype(np.int8)
    margins = Scorer(good, bench.birth["dim"]).margins_q8(e[None])[0]
    return replace(good, canaries=((int(margins.argmin()), e.tobytes()),)).encode()


def with_one_row_more(data: bytes) -> bytes:
    """A set of the same rows and one that repeats the first under another name."""
    old = decode(data)
    rows = [*range(len(old.names)), 0]
    return replace(
        old,
        number=old.number + 1,
        names=(*old.names, "one more"),
        codes=old.codes[rows],
        scale=old.scale[:, rows],
        mult=old.mult[:, rows],
        offset=old.offset[:, rows],
    ).encode()


def floor_of(bench: Bench) -> int:
    """The lowest epoch that the device takes, by its own word."""
    floor = (bench.newest("set_state") or {}).get("floor")
    return floor if isinstance(floor, int) else 0


def begin(
    bench: Bench,
    data: bytes,
    *,
    size: int | None = None,
    base: bytes | None = None,
    delta: bytes | None = None,
    encoder: bytes | None = None,
    epoch: int | None = None,
) -> Fields:
    """The arguments of `set.begin`, signed where the device asks for that.

    `base` is the hash of the set that a delta is for; the others say what is not true of `data`.
    """
    bench.begun = set_hash(data)
    size = len(data) if size is None else size
    digest = hashlib.sha256(data).digest()
    changes: Fields = {} if delta is None else {"delta": delta}
    if bench.signing_key is None:
        named = {} if base is None else {"base": base}
        return {"sha256": digest, "size": size, **named, **changes}
    has_encoder, has_epoch, number = header_of(data)
    encoder = has_encoder if encoder is None else encoder
    epoch = has_epoch if epoch is None else epoch
    algorithm = wire.SIGNING_ALGORITHMS.index("hmac-sha256") + 1
    manifest = MANIFEST.pack(algorithm, digest, size, encoder, epoch, number, base or bytes(8))
    mac = sign_manifest(bench.signing_key, manifest)
    return {"manifest": manifest, "mac": mac, **changes}


def count(data: bytes) -> int:
    """How many chunks a set takes."""
    return -(-len(data) // wire.CHUNK_BYTES)


async def send_chunks(bench: Bench, data: bytes, name: bytes | None = None) -> None:
    """All chunks of a set; under another name, where one is given."""
    for index in range(count(data)):
        await send_chunk(bench, data, index, name=name)


async def send_chunk(
    bench: Bench,
    data: bytes,
    index: int,
    *,
    name: bytes | None = None,
    size: int = wire.CHUNK_BYTES,
) -> None:
    """One chunk of a set, or no more than its first `size` bytes."""
    start = index * wire.CHUNK_BYTES
    part = data[start : start + size]
    chunk = {"v": wire.VERSION, "set": name or set_hash(data), "i": index, "data": part}
    await bench.send("set_chunk", chunk)


async def swap(bench: Bench, data: bytes) -> Fields:
    """Bring a set onto the device; returns what set/state said in the end."""
    mark = bench.mark
    await bench.expect("ok", "set.begin", begin(bench, data))
    await send_chunks(bench, data)
    return await end(bench, mark)


async def end(bench: Bench, mark: int) -> Fields:
    """What set/state says when a swap is over."""
    return await bench.next(
        "set_state", mark, lambda state: state.get("state") in ENDS, "end of the swap"
    )


async def used(bench: Bench, **changes: Any) -> bytes:
    """A good set that the device uses from now on. Raises Failed where it does not."""
    data = a_set(bench, **changes)
    state = await swap(bench, data)
    if state.get("state") != "confirmed":
        raise Failed(f"a good set was {state.get('state')}: {state.get('code')}")
    return data


def ended_with(state: Fields, wanted: str, code: str) -> None:
    """Raises Failed where a swap ended otherwise."""
    if (state.get("state"), state.get("code")) != (wanted, code):
        told = f"{state.get('state')} with code {state.get('code')!r}"
        raise Failed(f"a set was {told}, not {wanted} with {code!r}")

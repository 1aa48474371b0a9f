"""Checks that hand a device prototype sets, good ones and others, and compare its scores."""

import hashlib
import secrets
import zlib

import numpy as np
from moteye_protocol import wire
from moteye_protocol.prototype_set import PrototypeSet, decode, set_hash

from moteye.conformance.bench import Bench, Failed, Fields, NotTried
from moteye.conformance.kit import Attempt, check
from moteye.core.scoring import Scorer, prob_q8

ROWS = 12
ROWS_TOLD = 16
COMPARED_FRAMES = 4


def a_set(bench: Bench, *, encoder: bytes | None = None, rows: int = ROWS) -> bytes:
    """A set of random prototypes that nobody has seen; each row is told for any frame."""
    birth = bench.birth
    dim = birth["dim"]
    planes = wire.SET_DIMS.index(dim) + 1
    source = np.random.default_rng(secrets.randbits(64))
    data = PrototypeSet(
        encoder_hash=birth["encoder"] if encoder is None else encoder,
        number=int(source.integers(1, 1000)),
        names=tuple(f"class {row}" for row in range(rows)),
        codes=source.integers(-8, 8, (rows, dim)).astype(np.int8),
        scale=source.integers(1, 200, (planes, rows)).astype(np.uint8),
        mult=source.integers(0, 65536, (planes, rows)).astype(np.uint16),
        offset=source.integers(-500, 500, (planes, rows)).astype(np.int16),
        shift=(28,) * planes,
        report_q8=-32000,
        epoch=_floor(bench),
    ).encode()
    if len(data) > birth["max_set"]:
        raise NotTried(f"the device takes no set of {len(data)} bytes")
    return data


def _floor(bench: Bench) -> int:
    """The lowest epoch that the device takes, by its own word."""
    floor = (bench.newest("set_state") or {}).get("floor")
    return floor if isinstance(floor, int) else 0


def _begin(data: bytes) -> Fields:
    return {"sha256": hashlib.sha256(data).digest(), "size": len(data)}


def _count(data: bytes) -> int:
    return -(-len(data) // wire.CHUNK_BYTES)


async def send_chunks(bench: Bench, data: bytes, name: bytes | None = None) -> None:
    """All chunks of a set; under another name, where one is given."""
    for index in range(_count(data)):
        await send_chunk(bench, data, index, name)


async def send_chunk(bench: Bench, data: bytes, index: int, name: bytes | None = None) -> None:
    """One chunk of a set."""
    start = index * wire.CHUNK_BYTES
    part = data[start : start + wire.CHUNK_BYTES]
    chunk = {"v": wire.VERSION, "set": name or set_hash(data), "i": index, "data": part}
    await bench.send("set_chunk", chunk)


async def swap(bench: Bench, data: bytes) -> Fields:
    """Bring a set onto the device; returns what set/state said in the end."""
    mark = bench.mark
    await bench.expect("ok", "set.begin", _begin(data))
    await send_chunks(bench, data)
    return await _end(bench, mark)


async def _end(bench: Bench, mark: int) -> Fields:
    ends = ("confirmed", "refused", "reverted")
    return await bench.next(
        "set_state", mark, lambda state: state.get("state") in ends, "end of the swap"
    )


async def used(bench: Bench) -> bytes:
    """A good set that the device uses from now on. Raises Failed where it does not."""
    data = a_set(bench)
    state = await swap(bench, data)
    if state.get("state") != "confirmed":
        raise Failed(f"a good set was {state.get('state')}: {state.get('code')}")
    return data


@check("wire-op-002", "`set.begin`: too_large, busy, and which chunks are missing", "swap")
async def _begins(attempt: Attempt) -> None:
    bench = attempt.bench
    size = bench.birth["max_set"] + 1
    await bench.expect("too_large", "set.begin", {"sha256": bytes(32), "size": size})
    first, second = a_set(bench, rows=40), a_set(bench)
    reply = await bench.expect("ok", "set.begin", _begin(first))
    try:
        if (reply.get("chunks"), reply.get("missing")) != (
            _count(first),
            list(range(_count(first))),
        ):
            raise Failed(f"of {_count(first)} chunks it misses {reply.get('missing')}")
        await bench.expect("busy", "set.begin", _begin(second))
        await send_chunk(bench, first, 0)
        missing = (await bench.expect("ok", "set.begin", _begin(first))).get("missing")
        if missing != list(range(1, _count(first))):
            raise Failed(f"after the first chunk it misses {missing}")
    finally:
        await bench.ask("set.abort", {"set": set_hash(first)})


@check("wire-op-003", "`set.abort` forgets a transfer, and only the one it names", "swap")
async def _aborts(attempt: Attempt) -> None:
    bench = attempt.bench
    data = a_set(bench)
    await bench.expect("no_transfer", "set.abort", {"set": set_hash(data)})
    await bench.expect("ok", "set.begin", _begin(data))
    mark = bench.mark
    await bench.expect("ok", "set.abort", {"set": set_hash(data)})
    await bench.next("set_state", mark, lambda state: state.get("state") == "idle", "`idle`")


@check("wire-set-001", "a bad set is refused with its code, and the old one stays", "swap")
async def _refuses(attempt: Attempt) -> None:
    bench = attempt.bench
    kept = set_hash(await used(bench))
    good = a_set(bench)
    damaged = bytes([*good[:-1], good[-1] ^ 1])
    cases = {
        "bad_hash": (good, damaged),
        "bad_set": (damaged, damaged),
        "wrong_encoder": (other := a_set(bench, encoder=bytes(8)), other),
    }
    for code, (announced, sent) in cases.items():
        mark = bench.mark
        await bench.expect("ok", "set.begin", _begin(announced))
        await send_chunks(bench, sent, set_hash(announced))
        state = await _end(bench, mark)
        if state.get("state") == "confirmed" or state.get("code") != code:
            raise Failed(
                f"a set with {code} was {state.get('state')} with code {state.get('code')!r}"
            )
        if state.get("set") != kept:
            raise Failed("the set in use is another after the refusal")


@check("wire-set-002", "a set that is in use already is confirmed at once", "swap")
async def _has(attempt: Attempt) -> None:
    bench = attempt.bench
    data = await used(bench)
    mark = bench.mark
    reply = await bench.expect("ok", "set.begin", _begin(data))
    if reply.get("have") is not True:
        await bench.ask("set.abort", {"set": set_hash(data)})
        raise Failed("the answer does not say `have`")
    await bench.next("set_state", mark, lambda state: state.get("state") == "confirmed")


@check("wire-set-003", "embeddings and detections carry the set in use", "swap")
async def _carries(attempt: Attempt) -> None:
    bench = attempt.bench
    mark = bench.mark
    name = set_hash(await used(bench))
    told = (await _end(bench, mark))["n"]
    for kind in ("embedding", "detections"):
        found = await bench.next(kind, mark, lambda fields: _number(fields) > told)
        if found.get("set") != name:
            raise Failed(f"{kind} after the swap carry {found.get('set')!r}, not {name!r}")


def _number(fields: Fields) -> int:
    number = fields.get("n")
    return number if isinstance(number, int) else -1


@check("score-001", "device and host come to the same integers", "swap")
async def _scores(attempt: Attempt) -> None:
    bench = attempt.bench
    mark = bench.mark
    data = await used(bench)
    name = set_hash(data)
    scorer = Scorer(decode(data), bench.birth["dim"])

    def pairs() -> list[tuple[bytes, Fields]] | None:
        found = []
        seen: dict[object, object] = {}
        for item in bench.live(since=mark):
            fields = item.fields or {}
            if item.name == "embedding":
                seen[fields.get("frame")] = fields.get("e")
            elif item.name == "detections" and fields.get("set") == name:
                e = seen.get(fields.get("frame"))
                if isinstance(e, bytes):
                    found.append((e, fields))
        return found if len(found) >= COMPARED_FRAMES else None

    for e, told in await bench.until(pairs, f"{COMPARED_FRAMES} frames with detections"):
        margins = scorer.margins_q8(np.frombuffer(e, np.int8)[None])[0]
        probabilities = prob_q8(margins)
        ours = sorted([i, int(margins[i]), int(probabilities[i])] for i in range(ROWS))
        if ours != sorted(told["rows"]):
            raise Failed(f"frame {told['frame']}: the device says {told['rows']}, the host {ours}")


@check("wire-frame-003", "a picture arrives whole", "frames")
async def _picture(attempt: Attempt) -> None:
    bench = attempt.bench
    mark = bench.mark
    frame = (await bench.next("embedding", mark))["frame"]
    await bench.expect("ok", "frame.get", {"frame": frame})
    first = await bench.next("frame", mark)
    total = -(-first["w"] * first["h"] * 3 // wire.CHUNK_BYTES)
    if first["total"] != total:
        raise Failed(f"{first['total']} chunks of {first['w']}x{first['h']} instead of {total}")

    def whole() -> dict[int, bytes] | None:
        parts = {each["i"]: each["data"] for each in bench.fields("frame", mark)}
        return parts if len(parts) >= total else None

    parts = await bench.until(whole, f"all of {total} chunks")
    short = [i for i in range(total - 1) if len(parts.get(i, b"")) != wire.CHUNK_BYTES]
    if short:
        raise Failed(f"chunks {short[:5]} do not have {wire.CHUNK_BYTES} bytes")
    if zlib.crc32(b"".join(parts[i] for i in range(total))) != first["crc"]:
        raise Failed("the CRC-32 of the picture differs")

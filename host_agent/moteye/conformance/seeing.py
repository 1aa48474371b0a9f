"""Checks of what a device says of its frames: under which set, with which numbers, and pictures."""

import zlib

import numpy as np
from moteye_protocol import wire
from moteye_protocol.prototype_set import decode, set_hash

from moteye.conformance.bench import Failed, Fields
from moteye.conformance.kit import Attempt, check
from moteye.conformance.sets import ROWS, used
from moteye.core.scoring import Scorer, prob_q8

COMPARED_FRAMES = 4


@check("wire-set-003", "embeddings and detections carry the set in use", "swap")
async def _carries(attempt: Attempt) -> None:
    bench = attempt.bench
    mark = bench.mark
    name = set_hash(await used(bench))
    states = bench.fields("set_state", mark)
    told = next(state for state in states if state.get("state") == "confirmed")["n"]
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

"""Checks that only look at what a device has said so far, or says while nothing disturbs it."""

import asyncio
import re
from collections.abc import Iterator
from itertools import pairwise

from moteye_protocol import models, wire
from moteye_protocol.boxes import unpack_boxes

from moteye.conformance.bench import Bench, Failed, Fields, Heard, NotTried
from moteye.conformance.kit import Attempt, check

FIRST_MS = 1_735_689_600_000  # 2025
LAST_MS = 2_682_374_400_000  # 2055
ENVELOPE = ("s", "n", "t", "up")
MOST_TOPICS = 12
SHOWN = 5
_ID = re.compile(rf"[a-z0-9][a-z0-9_-]{{0,{wire.MAX_DEVICE_ID_CHARS - 1}}}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53


def _said(bench: Bench) -> Iterator[tuple[Heard, Fields]]:
    """Live messages of the device that can be read, with their fields."""
    for item in bench.live():
        if item.fields is not None and item.name is not None:
            yield item, item.fields


def _numbered(bench: Bench) -> dict[int, list[tuple[int, Fields]]]:
    """By session: (n, fields) of what was said, in the order of n."""
    found: dict[int, list[tuple[int, Fields]]] = {}
    for item, fields in _said(bench):
        session, number = fields.get("s"), fields.get("n")
        if item.name != "status" and _is_count(session) and _is_count(number):
            assert isinstance(session, int)
            assert isinstance(number, int)
            found.setdefault(session, []).append((number, fields))
    return {session: sorted(each, key=lambda one: one[0]) for session, each in found.items()}


@check("wire-seq-003", "sequence numbers count up by one, without gap and repeat")
async def _numbers(attempt: Attempt) -> None:
    bench = attempt.bench
    await bench.settle()
    mark = bench.mark
    await asyncio.sleep(bench.watch_s)
    await bench.settle()
    window = [item for item in bench.live(since=mark) if item.name != "status"]
    told = [item.fields.get("n") if item.fields else None for item in window]
    numbers = [number for number in told if isinstance(number, int)]
    if not numbers:
        raise Failed(f"nothing was heard for {bench.watch_s:g} s")
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    if twice:
        raise Failed(f"numbers {twice[:SHOWN]} came twice")
    missing = sorted(set(range(min(numbers), max(numbers))) - set(numbers))
    if len(missing) > len(told) - len(numbers):
        raise Failed(f"numbers {missing[:SHOWN]} did not come")


@check("wire-topic-001", "no topic beside those of the table, and at most twelve")
async def _topics(attempt: Attempt) -> None:
    bench = attempt.bench
    if len(wire.TOPICS) > MOST_TOPICS:
        raise Failed(f"the table has {len(wire.TOPICS)} topics")
    strange = sorted({item.topic for item in bench.live() if item.name is None})
    if strange:
        raise Failed(f"it publishes on {', '.join(strange[:SHOWN])}")


@check("wire-topic-002", "the QoS of the table")
async def _qos(attempt: Attempt) -> None:
    if not await attempt.bench.broker_keeps_qos():
        raise NotTried("this broker changes the QoS of messages; mosquitto does not")
    for item in attempt.bench.live():
        if item.name is not None and item.qos != (wanted := wire.TOPICS[item.name][2]):
            raise Failed(f"{item.name} came with QoS {item.qos} instead of {wanted}")


@check("wire-topic-003", "status, birth and set/state are retained")
async def _retained(attempt: Attempt) -> None:
    bench = attempt.bench
    found = await bench.retained()
    topics = [models.topic(bench.device, name) for name in ("status", "birth", "set_state")]
    missing = [topic for topic in topics if topic not in found]
    if missing:
        raise Failed(f"a new subscriber does not get {', '.join(missing)}")


@check("wire-topic-004", "nothing else is retained")
async def _not_retained(attempt: Attempt) -> None:
    wrong = [
        topic
        for topic, item in (await attempt.bench.retained()).items()
        if item.name is not None
        and wire.TOPICS[item.name][1] == "device"
        and not wire.TOPICS[item.name][3]
    ]
    if wrong:
        raise Failed(f"a new subscriber gets {', '.join(wrong)}")


@check("wire-codec-001", "payloads are maps of the wire's types")
async def _maps(attempt: Attempt) -> None:
    for item in attempt.bench.live():
        if item.fields is None:
            raise Failed(f"{item.topic}: {item.problem}")


@check("wire-codec-005", "payloads are not larger than the limit")
async def _sizes(attempt: Attempt) -> None:
    for item in attempt.bench.live():
        if len(item.payload) > wire.MAX_PAYLOAD_BYTES:
            raise Failed(f"{item.topic}: {len(item.payload)} bytes")


@check("wire-version-001", "every payload has the version")
async def _versions(attempt: Attempt) -> None:
    for item, fields in _said(attempt.bench):
        if fields.get("v") != wire.VERSION:
            raise Failed(f"{item.topic}: v is {fields.get('v')!r}")


@check("wire-env-001", "session, sequence number, time and uptime have their types")
async def _envelopes(attempt: Attempt) -> None:
    for item, fields in _said(attempt.bench):
        for key in ENVELOPE[:1] if item.name == "status" else ENVELOPE:
            is_good = _is_count(fields.get(key)) or (key == "t" and fields.get(key, 0) is None)
            if not is_good:
                raise Failed(f"{item.topic}: {key} is {fields.get(key)!r}")


@check("wire-env-002", "uptime never falls within a session")
async def _uptime(attempt: Attempt) -> None:
    for each in _numbered(attempt.bench).values():
        ups = [(number, up) for number, fields in each if isinstance(up := fields.get("up"), int)]
        for (_, before), (number, after) in pairwise(ups):
            if after < before:
                raise Failed(f"message {number}: up is {after} after {before}")


@check("wire-env-003", "unix time is nil or in ms between 2025 and 2055")
async def _times(attempt: Attempt) -> None:
    for item, fields in _said(attempt.bench):
        told = fields.get("t")
        if isinstance(told, int) and not FIRST_MS <= told < LAST_MS:
            raise Failed(f"{item.topic}: t is {told}")


@check("wire-env-004", "a frame was taken before its message was made, and not long before")
async def _ages(attempt: Attempt) -> None:
    for item, fields in _said(attempt.bench):
        taken, made = fields.get("at"), fields.get("up")
        if item.name in ("embedding", "detections") and _is_count(taken) and _is_count(made):
            assert isinstance(taken, int)
            assert isinstance(made, int)
            if not 0 <= made - taken <= wire.MAX_FRAME_AGE_MS:
                raise Failed(f"{item.topic}: taken at {taken}, message made at {made}")


@check("wire-msg-001", "messages have the keys, types and ranges of the tables")
async def _messages(attempt: Attempt) -> None:
    for item, fields in _said(attempt.bench):
        assert item.name is not None
        if len(item.payload) > wire.MAX_PAYLOAD_BYTES or fields.get("v") != wire.VERSION:
            continue  # the business of other rules
        try:
            models.parse(item.name, item.payload)
        except models.MessageError as error:
            if error.where not in ENVELOPE:
                raise Failed(f"{item.topic}: {error}") from None


@check("wire-embedding-001", "embeddings carry the encoder of the birth and a frame of their own")
async def _embeddings(attempt: Attempt) -> None:
    bench = attempt.bench
    frames: set[tuple[object, object]] = set()
    for fields in bench.fields("embedding"):
        if fields.get("encoder") != bench.birth.get("encoder"):
            raise Failed(f"encoder {fields.get('encoder')!r} is not that of the birth")
        frames.add((fields.get("s"), fields.get("frame")))
    numbers = {(fields.get("s"), fields.get("n")) for fields in bench.fields("embedding")}
    if len(frames) < len(numbers):
        raise Failed("a frame was published twice")


@check("wire-detections-001", "rows stand best first, each once, at most sixteen")
async def _rows(attempt: Attempt) -> None:
    for fields in attempt.bench.fields("detections"):
        rows = fields.get("rows")
        if not isinstance(rows, list) or not all(isinstance(row, list) and row for row in rows):
            continue  # wire-msg-001
        margins = [row[1] for row in rows]
        if margins != sorted(margins, reverse=True):
            raise Failed(f"margins in the order {margins[:SHOWN]}")
        if len({row[0] for row in rows}) < len(rows):
            raise Failed("a row came twice")


@check("wire-boxes-001", "boxes are those of a set and stand best first")
async def _boxes(attempt: Attempt) -> None:
    for fields in attempt.bench.fields("embedding"):
        told = fields.get("boxes")
        if told is None:
            continue
        if fields.get("set") is None:
            raise Failed("boxes without a set whose rows they could be")
        try:
            boxes = unpack_boxes(told if isinstance(told, bytes) else b"?")
        except ValueError:
            continue  # wire-msg-001
        margins = [box.margin_q8 for box in boxes]
        if margins != sorted(margins, reverse=True):
            raise Failed(f"margins in the order {margins[:SHOWN]}")


@check("wire-cmd-007", "replies say `ok` exactly with the code ok, and a code of the table")
async def _replies(attempt: Attempt) -> None:
    for fields in attempt.bench.fields("reply"):
        code = fields.get("code")
        if code not in wire.CODES or fields.get("ok") is not (code == "ok"):
            raise Failed(f"ok is {fields.get('ok')!r}, code {code!r}")


@check("wire-id-001", "the device id is well formed, and the MQTT client id too", "rig")
async def _id(attempt: Attempt) -> None:
    device = attempt.bench.device
    if not _ID.fullmatch(device):
        raise Failed(f"{device!r} is not 1 to 64 of a-z, 0-9, - and _")
    strange = set(attempt.rig.line.client_ids) - {device}
    if strange:
        raise Failed(f"it connects as {sorted(strange)}")

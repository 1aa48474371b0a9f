"""Checks that say something to a device: commands and bytes that are none."""

import random

from moteye_protocol import wire
from moteye_protocol.codec import pack

from moteye.conformance.bench import Bench, Failed, NotTried
from moteye.conformance.kit import Attempt, check

MINUTE_MS = 60_000
OVERSIZE = (wire.MAX_PAYLOAD_BYTES + 1, 20_000, 200_000)
GARBAGE_MESSAGES = 40


def _known(bench: Bench, op: str) -> bool:
    ops = bench.birth.get("ops")
    return isinstance(ops, list) and op in ops


@check("wire-cmd-008", "the birth lists the operations, ping and report among them")
async def _operations(attempt: Attempt) -> None:
    bench = attempt.bench
    missing = [op for op in ("ping", "report") if not _known(bench, op)]
    if missing:
        raise Failed(f"the birth does not list {', '.join(missing)}")
    for op in wire.OPERATIONS:
        if _known(bench, op) and (await bench.ask(op)).get("code") == "unknown_operation":
            raise Failed(f"{op} is listed but not known")


@check("wire-op-001", "`report` publishes status, birth and set/state")
async def _report(attempt: Attempt) -> None:
    bench = attempt.bench
    mark = bench.mark
    await bench.expect("ok", "report")
    await bench.settle()
    names = ("status", "birth", "set_state")
    silent = [name for name in names if not bench.live(name, mark)]
    if silent:
        raise Failed(f"nothing on {', '.join(silent)}")


@check("wire-cmd-002", "a command for another session is refused")
async def _stale_session(attempt: Attempt) -> None:
    bench = attempt.bench
    if (await bench.ask("ping", s=bench.session)).get("code") != "ok":
        raise Failed("a command for the session of the birth is refused")
    await bench.expect("stale_session", "ping", s=bench.session - 1 if bench.session else 1)


@check("wire-cmd-003", "a command older than its ttl is refused", "clock", "plain")
async def _expired(attempt: Attempt) -> None:
    bench = attempt.bench
    await bench.expect("expired", "ping", issued=bench.now_ms() - 60 * MINUTE_MS)


@check("wire-cmd-009", "a command without ttl lives for command_ttl_ms", "clock", "plain")
async def _default_ttl(attempt: Attempt) -> None:
    bench = attempt.bench
    half = wire.COMMAND_TTL_MS // 2
    await bench.expect("ok", "ping", ttl=None, issued=bench.now_ms() - half)
    await bench.expect("expired", "ping", ttl=None, issued=bench.now_ms() - 4 * half)


@check("wire-cmd-004", "the same tid gets the same answer and is not done twice")
async def _once(attempt: Attempt) -> None:
    bench = attempt.bench
    command = bench.command("report")
    mark = bench.mark
    first = await bench.answer(command)
    await bench.settle()
    done = len(bench.live("birth", mark))
    again = await bench.answer(command)
    await bench.settle()
    if len(bench.live("birth", mark)) > done:
        raise Failed("the same command was done twice")
    if (first.get("ok"), first.get("code")) != (again.get("ok"), again.get("code")):
        raise Failed(f"first answered {first.get('code')!r}, then {again.get('code')!r}")


@check("wire-cmd-005", "an unknown operation is refused")
async def _unknown(attempt: Attempt) -> None:
    await attempt.bench.expect("unknown_operation", "make.coffee")


@check("wire-cmd-006", "missing arguments are refused")
async def _bad_argument(attempt: Attempt) -> None:
    bench = attempt.bench
    tried = [op for op in ("set.begin", "set.abort") if _known(bench, op)]
    if bench.signing_key is not None:
        tried = [
            op for op in tried if op != "set.begin"
        ]  # without a manifest it is unsigned before it is judged
    if bench.birth.get("frames") is True:
        tried.append("frame.get")
    if not tried:
        raise NotTried("the device has no operation with arguments")
    for op in tried:
        await bench.expect("bad_argument", op)


@check("wire-cmd-010", "an empty payload is not answered")
async def _empty(attempt: Attempt) -> None:
    bench = attempt.bench
    mark = bench.mark
    await bench.send("command", b"")
    await bench.unbroken(mark)
    if len(bench.live("reply", mark)) > 1:
        raise Failed("it was answered")


@check("wire-version-002", "a command of another version is refused")
async def _version(attempt: Attempt) -> None:
    await attempt.bench.expect("version", "ping", v=wire.VERSION + 1)


@check("wire-codec-003", "unknown keys are ignored")
async def _unknown_keys(attempt: Attempt) -> None:
    await attempt.bench.expect("ok", "ping", colour="green", more=[1, {"two": 3}])


@check("wire-codec-004", "a malformed command with a tid is answered malformed")
async def _malformed(attempt: Attempt) -> None:
    bench = attempt.bench
    for change in ({"issued": "now"}, {"args": [1]}, {"s": "last"}):
        await bench.expect("malformed", "ping", **change)


def not_of_the_wire(command: dict[str, object]) -> dict[str, bytes]:
    """The bytes of a command, spoilt in one way each."""
    good = pack(command)
    longer = bytes([good[0] + 1]) + good[1:]
    return {
        "trailing bytes": good + b"\xc0",
        "a key twice": longer + pack("op") + pack(command["op"]),
        "an ext type": longer + pack("x") + b"\xd4\x01\x00",
        "a string that is not UTF-8": longer + pack("x") + b"\xa2\xff\xfe",
        "too many levels": longer + pack("x") + b"\x91" * (wire.MAX_DEPTH + 3) + b"\xc0",
        "too many items": longer + pack("x") + b"\xdc\x02\x58" + b"\xc0" * 600,
        "a length beyond the payload": longer + pack("x") + b"\xc6\x7f\xff\xff\xff",
    }


@check("wire-codec-002", "what is not of the wire is refused", "plain")
async def _strict(attempt: Attempt) -> None:
    bench = attempt.bench
    for what in not_of_the_wire(bench.command("report")):
        command = bench.command("report")
        mark = bench.mark
        await bench.send("command", not_of_the_wire(command)[what])
        await bench.settle()
        replies = [r for r in bench.fields("reply", mark) if r.get("tid") == command["tid"]]
        if any(reply.get("code") == "ok" for reply in replies) or bench.live("birth", mark):
            raise Failed(f"a command with {what} was done")


@check("wire-codec-006", "payloads that are too large are survived")
async def _oversize(attempt: Attempt) -> None:
    for size in OVERSIZE:
        mark = attempt.bench.mark
        await attempt.bench.send("command", bytes(size))
        await attempt.bench.unbroken(mark)


@check("wire-codec-007", "any bytes are survived")
async def _garbage(attempt: Attempt) -> None:
    bench = attempt.bench
    source = random.Random(7)
    mark = bench.mark
    good = pack(bench.command("ping"))
    for size in range(1, GARBAGE_MESSAGES):
        mutated = bytearray(good)
        mutated[source.randrange(len(good))] ^= 1 << source.randrange(8)
        await bench.send("set_chunk", source.randbytes(size))
        await bench.send("command", source.randbytes(size) + b"\xc1")
        await bench.send("command", bytes(mutated) + b"\xc1")
    await bench.unbroken(mark)


@check("wire-frame-001", "pictures stay where the owner keeps them", "kept")
async def _forbidden(attempt: Attempt) -> None:
    bench = attempt.bench
    mark = bench.mark
    seen = bench.newest("embedding") or {}
    reply = await bench.ask("frame.get", {"frame": seen.get("frame", 0)})
    await bench.settle()
    if bench.live("frame", mark):
        raise Failed("a picture left, though the birth says `frames: false`")
    if reply.get("code") != "forbidden":
        raise Failed(f"frame.get was answered {reply.get('code')!r} instead of 'forbidden'")


@check("wire-frame-002", "a picture that is no longer held is gone", "frames")
async def _gone(attempt: Attempt) -> None:
    await attempt.bench.expect("gone", "frame.get", {"frame": 0xFFFFFF00})


@check("wire-presence-006", "a device contradicts an `offline` while it is online")
async def _contradicts(attempt: Attempt) -> None:
    await _repaired(attempt.bench, pack(_status(attempt.bench, "offline")), ("status",))


@check("wire-presence-007", "a device repairs its status when it is cleared")
async def _repairs(attempt: Attempt) -> None:
    await _repaired(attempt.bench, b"", ("status", "birth", "set_state"))


def _status(bench: Bench, state: str) -> dict[str, object]:
    return {"v": wire.VERSION, "s": bench.session, "state": state}


async def _repaired(bench: Bench, payload: bytes, names: tuple[str, ...]) -> None:
    await bench.rest()
    mark = bench.mark
    try:
        await bench.send("status", payload, retain=True)
        await bench.next("status", mark, lambda told: told.get("state") == "online", "`online`")
        for name in names[1:]:
            await bench.next(name, mark)
    except Failed:
        await bench.send("status", _status(bench, "online"), retain=True)
        raise

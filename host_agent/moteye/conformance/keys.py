"""Checks of a device that has keys: it obeys who signs with them, and nobody else."""

import hashlib
import secrets

from moteye_protocol.codec import pack
from moteye_protocol.prototype_set import set_hash
from moteye_protocol.signing import KEY_BYTES, sign_command

from moteye.conformance.bench import Bench, Failed, Fields
from moteye.conformance.kit import Attempt, check
from moteye.conformance.sets import a_set, begin, floor_of, used

REMEMBERED = 16  # commands that a device remembers


async def _code(bench: Bench, tid: object, payload: bytes) -> object:
    """The code with which these bytes are answered."""
    mark = bench.mark
    await bench.send("command", payload)
    reply = await bench.next("reply", mark, lambda found: found.get("tid") == tid, "answer")
    return reply.get("code")


@check("wire-key-001", "what is not signed with the device's key is refused", "keys")
async def _unsigned(attempt: Attempt) -> None:
    bench = attempt.bench
    key = bench.signing_key
    assert key is not None
    command = bench.command("report")
    cases = {
        "an unsigned command": pack(command),
        "a command signed with another key": sign_command(
            secrets.token_bytes(KEY_BYTES), pack(command)
        ),
        "a command changed after it was signed": sign_command(key, pack(command)).replace(
            b"report", b"repork"
        ),
    }
    for what, payload in cases.items():
        if (code := await _code(bench, command["tid"], payload)) != "unsigned":
            raise Failed(f"{what} was answered {code!r} instead of 'unsigned'")


@check("wire-key-002", "a recorded command is not done again; each names its session", "keys")
async def _replayed(attempt: Attempt) -> None:
    bench = attempt.bench
    key = bench.signing_key
    assert key is not None
    anywhere = bench.command("ping") | {"s": None}
    if (code := await _code(bench, anywhere["tid"], sign_command(key, pack(anywhere)))) != (
        "stale_session"
    ):
        raise Failed(f"a command for any session was answered {code!r}, not 'stale_session'")
    command = bench.command("report")
    recorded = sign_command(key, pack(command))
    await _code(bench, command["tid"], recorded)
    for _ in range(REMEMBERED + 2):
        await bench.settle()
    mark = bench.mark
    code = await _code(bench, command["tid"], recorded)
    await bench.settle()
    if code != "replayed" or bench.live("birth", mark):
        raise Failed(f"a command that was recorded was answered {code!r}, not 'replayed'")


@check("wire-key-003", "a set without a good manifest is not received", "keys", "swap")
async def _manifests(attempt: Attempt) -> None:
    bench = attempt.bench
    data, other = a_set(bench), begin(bench, a_set(bench))
    good = begin(bench, data)
    plain = {"sha256": hashlib.sha256(data).digest(), "size": len(data)}
    cases: dict[str, Fields] = {
        "no manifest": plain,
        "no MAC": {"manifest": good["manifest"]},
        "the MAC of another": good | {"mac": other["mac"]},
        "a manifest that was changed": good | {"manifest": good["manifest"][:-1] + b"!"},
        "an unknown algorithm": good | {"manifest": b"\xff" + good["manifest"][1:]},
    }
    for what, args in cases.items():
        reply = await bench.ask("set.begin", args)
        if reply.get("code") != "unsigned":
            raise Failed(f"a set with {what} was answered {reply.get('code')!r}")
    await bench.expect("ok", "set.begin", good)
    await bench.expect("ok", "set.abort", {"set": set_hash(data)})


@check(
    "wire-key-004", "a manifest is judged before a byte of the set is sent", "keys", "swap", "rig"
)
async def _early(attempt: Attempt) -> None:
    bench = attempt.bench
    await used(bench, epoch=floor_of(bench) + 1)
    data = a_set(bench)
    other = begin(bench, data, encoder=secrets.token_bytes(8))
    low = begin(bench, data, epoch=floor_of(bench) - 1)
    await bench.expect("wrong_encoder", "set.begin", other)
    await bench.expect("rollback", "set.begin", low)

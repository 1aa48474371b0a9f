"""Checks that hand a device prototype sets, good ones and others."""

import secrets
from itertools import pairwise

from moteye_protocol import wire
from moteye_protocol.prototype_set import set_hash
from moteye_protocol.set_delta import encode_delta

from moteye.conformance.bench import Failed, NotTried
from moteye.conformance.kit import Attempt, check
from moteye.conformance.sets import (
    SEVERAL_CHUNKS,
    a_set,
    begin,
    count,
    end,
    ended_with,
    failing_set,
    floor_of,
    send_chunk,
    send_chunks,
    swap,
    used,
    with_one_row_more,
)

STEPS = {
    ("receiving", "receiving"),
    ("receiving", "verified"),
    ("verified", "trial"),
    ("trial", "confirmed"),
}


@check("wire-op-002", "`set.begin`: too_large, busy, and which chunks are missing", "swap")
async def _begins(attempt: Attempt) -> None:
    bench = attempt.bench
    first, second = a_set(bench, rows=SEVERAL_CHUNKS), a_set(bench)
    too_large = begin(bench, first, size=bench.birth["max_set"] + 1)
    await bench.expect("too_large", "set.begin", too_large)
    reply = await bench.expect("ok", "set.begin", begin(bench, first))
    try:
        whole = list(range(count(first)))
        if (reply.get("chunks"), reply.get("missing")) != (count(first), whole):
            raise Failed(f"of {count(first)} chunks it misses {reply.get('missing')}")
        await bench.expect("busy", "set.begin", begin(bench, second))
        await send_chunk(bench, first, 0)
        missing = (await bench.expect("ok", "set.begin", begin(bench, first))).get("missing")
        if missing != whole[1:]:
            raise Failed(f"after the first chunk it misses {missing}")
    finally:
        await bench.ask("set.abort", {"set": set_hash(first)})


@check("wire-op-003", "`set.abort` forgets a transfer, and only the one it names", "swap")
async def _aborts(attempt: Attempt) -> None:
    bench = attempt.bench
    data = a_set(bench)
    await bench.expect("no_transfer", "set.abort", {"set": set_hash(data)})
    await bench.expect("ok", "set.begin", begin(bench, data))
    mark = bench.mark
    await bench.expect("ok", "set.abort", {"set": set_hash(data)})
    await bench.next("set_state", mark, lambda state: state.get("state") == "idle", "`idle`")


@check("wire-set-001", "a bad set is refused with its code, and the old one stays", "swap")
async def _refuses(attempt: Attempt) -> None:
    bench = attempt.bench
    kept = set_hash(await used(bench))
    good = a_set(bench)
    damaged = bytes([*good[:-1], good[-1] ^ 1])
    other = a_set(bench, encoder_hash=secrets.token_bytes(8))
    cases = {
        "bad_hash": (good, damaged),
        "bad_crc": (damaged, damaged),
        "wrong_encoder": (other, other),
    }
    for code, (announced, sent) in cases.items():
        mark = bench.mark
        # A manifest that names another encoder is refused before anything is sent.
        encoder = bench.birth["encoder"]
        await bench.expect("ok", "set.begin", begin(bench, announced, encoder=encoder))
        await send_chunks(bench, sent, set_hash(announced))
        state = await end(bench, mark)
        ended_with(state, "refused", code)
        if state.get("set") != kept:
            raise Failed("the set in use is another after the refusal")


@check("wire-set-002", "a set that is in use already is confirmed at once", "swap")
async def _has(attempt: Attempt) -> None:
    bench = attempt.bench
    data = await used(bench)
    mark = bench.mark
    reply = await bench.expect("ok", "set.begin", begin(bench, data))
    if reply.get("have") is not True:
        await bench.ask("set.abort", {"set": set_hash(data)})
        raise Failed("the answer does not say `have`")
    await bench.next("set_state", mark, lambda state: state.get("state") == "confirmed")


@check("wire-set-010", "receiving, verified, trial, confirmed, in this order", "swap")
async def _steps(attempt: Attempt) -> None:
    bench = attempt.bench
    await bench.settle()
    mark = bench.mark
    await used(bench)
    told = [str(state.get("state")) for state in bench.fields("set_state", mark)]
    steps = set(pairwise(told))
    if told[0] != "receiving" or told[-1] != "confirmed" or steps - STEPS:
        raise Failed(f"it said {', '.join(told)}")


@check("wire-set-009", "chunks in any order, twice, or wrong: the set is whole in the end", "swap")
async def _chunks(attempt: Attempt) -> None:
    bench = attempt.bench
    data = a_set(bench, rows=SEVERAL_CHUNKS)
    mark = bench.mark
    await bench.expect("ok", "set.begin", begin(bench, data))
    await send_chunk(bench, data, 1, size=wire.CHUNK_BYTES - 1)
    await send_chunk(bench, data, 0, name=secrets.token_bytes(8))
    await bench.send("set_chunk", {"v": 1, "set": set_hash(data), "i": count(data), "data": b"x"})
    for index in reversed(range(count(data))):
        await send_chunk(bench, data, index)
        await send_chunk(bench, data, index)
    ended_with(await end(bench, mark), "confirmed", "ok")


@check("wire-set-006", "a set that fails its trial is reverted, and the old one is back", "swap")
async def _reverts(attempt: Attempt) -> None:
    bench = attempt.bench
    kept = set_hash(await used(bench))
    state = await swap(bench, failing_set(bench))
    ended_with(state, "reverted", "canary")
    if state.get("set") != kept:
        raise Failed("the set in use is another after the trial")


@check("wire-set-011", "a set that failed its trial is not tried again", "swap")
async def _remembers(attempt: Attempt) -> None:
    bench = attempt.bench
    await used(bench)
    data = failing_set(bench)
    state = await swap(bench, data)
    if state.get("state") != "reverted":
        raise NotTried("its trial failed for no set")
    await bench.expect("failed_before", "set.begin", begin(bench, data))


@check("wire-set-008", "a delta makes the set that it announces, of the set in use only", "swap")
async def _deltas(attempt: Attempt) -> None:
    bench = attempt.bench
    old = await used(bench)
    new = with_one_row_more(old)
    name, delta = set_hash(old), _delta(old, new)
    other = begin(bench, new, base=secrets.token_bytes(8), delta=delta)
    reply = await bench.ask("set.begin", other)
    if reply.get("missing"):
        await bench.ask("set.abort", {"set": set_hash(new)})
        raise NotTried("the device knows no deltas")
    if reply.get("code") != "wrong_base":
        raise Failed(f"a delta for another set was answered {reply.get('code')!r}")
    wrong = begin(bench, with_one_row_more(new), base=name, delta=delta)
    await bench.expect("bad_delta", "set.begin", wrong)
    mark = bench.mark
    await bench.expect("ok", "set.begin", begin(bench, new, base=name, delta=delta))
    state = await end(bench, mark)
    ended_with(state, "confirmed", "ok")
    if state.get("set") != set_hash(new):
        raise Failed(f"the set in use is {state.get('set')!r}, not {set_hash(new)!r}")


def _delta(old: bytes, new: bytes) -> bytes:
    delta = encode_delta(old, new)
    assert delta is not None
    return delta


@check("wire-set-007", "the floor rises when a higher epoch is confirmed, and holds", "swap", "rig")
async def _floor(attempt: Attempt) -> None:
    bench = attempt.bench
    await used(bench)
    floor = floor_of(bench)
    state = await swap(bench, failing_set(bench, epoch=floor + 5))
    if state.get("state") == "reverted" and state.get("floor") != floor:
        raise Failed(f"the floor is {state.get('floor')} after a trial that failed, not {floor}")
    floor = floor_of(bench)
    low = a_set(bench)
    await used(bench, epoch=floor + 1)
    if floor_of(bench) != floor + 1:
        raise Failed(f"the floor is {floor_of(bench)} after epoch {floor + 1} was confirmed")
    mark = bench.mark
    await bench.expect("ok", "set.begin", begin(bench, low, epoch=floor + 1))
    await send_chunks(bench, low)
    ended_with(await end(bench, mark), "refused", "rollback")

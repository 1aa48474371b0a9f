"""Checks that take power over the device, its line or its broker."""

from moteye_protocol.codec import pack
from moteye_protocol.prototype_set import set_hash

from moteye.conformance.bench import Bench, Failed, Fields
from moteye.conformance.kit import Attempt, check
from moteye.conformance.sets import (
    SEVERAL_CHUNKS,
    a_set,
    begin,
    count,
    end,
    ended_with,
    send_chunk,
    send_chunks,
    used,
)

FRAGMENT_BYTES = 5
FRAGMENTED_PINGS = 3
PADDING = bytes(400)  # makes a command of many pieces


async def _cut(attempt: Attempt) -> tuple[int, Fields]:
    """Cut the line; returns the mark before it and the first status of the next connection."""
    bench = attempt.bench
    await bench.rest()  # a device that is thrown out too often suspects a twin
    mark = bench.mark
    attempt.rig.line.cut()
    return mark, await _online(bench, mark)


async def _online(bench: Bench, mark: int) -> Fields:
    return await bench.next(
        "status", mark, lambda told: told.get("state") == "online", "`online` after a reconnect"
    )


@check("wire-presence-002", "online and birth at every connect", "rig")
async def _birth_again(attempt: Attempt) -> None:
    mark, _ = await _cut(attempt)
    await attempt.bench.next("birth", mark)


@check("wire-session-002", "the session stays the same over a reconnect", "rig")
async def _same_session(attempt: Attempt) -> None:
    before = attempt.bench.session
    _, told = await _cut(attempt)
    if told.get("s") != before:
        raise Failed(f"session {before} became {told.get('s')}")


@check("wire-presence-008", "a broker that lost everything gets set/state again", "rig")
async def _repaired(attempt: Attempt) -> None:
    bench = attempt.bench
    await bench.rest()
    mark = bench.mark
    await attempt.rig.restart_broker()
    await bench.until(
        lambda: any(item.name == "set_state" for item in bench.heard[mark:]),
        "set/state after the broker came back",
    )


@check("wire-presence-003", "subscriptions are made at every connect", "rig")
async def _subscribed(attempt: Attempt) -> None:
    await _cut(attempt)
    await attempt.bench.settle()


@check("wire-cmd-001", "a retained command is refused", "rig")
async def _retained(attempt: Attempt) -> None:
    bench = attempt.bench
    await bench.settle()
    command = bench.command("report")
    mark = bench.mark
    # Who is subscribed would get it as a live one; only the next subscription sees the flag.
    await attempt.rig.stop()
    await bench.send("command", command, retain=True)
    try:
        await attempt.rig.restart()
        tid = command["tid"]
        reply = await bench.next("reply", mark, lambda found: found.get("tid") == tid, "answer")
        if reply.get("code") != "retained":
            raise Failed(f"it was answered {reply.get('code')!r} instead of 'retained'")
    finally:
        await bench.send("command", b"", retain=True)


@check("wire-line-001", "packets in small pieces are understood", "rig")
async def _fragments(attempt: Attempt) -> None:
    bench = attempt.bench
    attempt.rig.line.longest = FRAGMENT_BYTES
    try:
        await attempt.rig.stop()
        await attempt.start()
        for _ in range(FRAGMENTED_PINGS):
            await bench.expect("ok", "ping", padding=PADDING)
        await bench.settle()
    finally:
        attempt.rig.line.longest = None


@check("wire-presence-001", "the will says offline, retained, with the session", "rig")
async def _will(attempt: Attempt) -> None:
    bench = attempt.bench
    await bench.settle()
    session, mark = bench.session, bench.mark
    await attempt.rig.kill()
    told = await bench.retained_status(("offline",))
    if told.get("s") != session:
        raise Failed(f"the will names session {told.get('s')}, not {session}")
    live = await bench.until(lambda: bench.live("status", mark), "will")
    if live[0].qos != 1:
        raise Failed(f"the will came with QoS {live[0].qos}")
    await attempt.start()


@check("wire-session-001", "the session is larger after a start", "rig")
async def _counts(attempt: Attempt) -> None:
    bench = attempt.bench
    before = bench.session
    await attempt.rig.stop()
    await attempt.start()
    if bench.session <= before:
        raise Failed(f"session {bench.session} follows {before}")


@check("wire-presence-004", "a device that leaves says so", "rig")
async def _goodbye(attempt: Attempt) -> None:
    bench = attempt.bench
    await bench.settle()
    session = bench.session
    await attempt.rig.stop()
    told = await bench.retained_status(("stopped", "sleeping"))
    if told.get("s") != session:
        raise Failed(f"it names session {told.get('s')}, not {session}")
    await attempt.start()


@check("wire-set-004", "chunks that were received outlive a power cut", "swap", "rig")
async def _resumes(attempt: Attempt) -> None:
    bench = attempt.bench
    data = a_set(bench, rows=SEVERAL_CHUNKS)
    await bench.expect("ok", "set.begin", begin(bench, data))
    await send_chunk(bench, data, 0)
    await bench.settle()
    await attempt.power_cut()
    mark = bench.mark
    missing = (await bench.expect("ok", "set.begin", begin(bench, data))).get("missing")
    if missing != list(range(1, count(data))):
        await bench.ask("set.abort", {"set": set_hash(data)})
        raise Failed(f"after a restart it misses {missing}")
    await send_chunks(bench, data)
    ended_with(await end(bench, mark), "confirmed", "ok")


@check("wire-set-012", "the set that was confirmed is in use after a power cut", "swap", "rig")
async def _keeps(attempt: Attempt) -> None:
    bench = attempt.bench
    name = set_hash(await used(bench))
    await attempt.power_cut()
    if bench.birth.get("set") != name:
        raise Failed(f"after a restart it uses {bench.birth.get('set')!r}, not {name!r}")


async def recover(attempt: Attempt) -> None:
    """Start the device anew after a check that failed, so that the next is not its victim."""
    bench = attempt.bench
    attempt.rig.line.longest = None
    await attempt.rig.stop()
    await bench.send("command", b"", retain=True)
    await bench.send("status", pack({"v": 1, "s": 0, "state": "stopped"}), retain=True)
    await attempt.start()

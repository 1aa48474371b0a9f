"""Commands, pictures and the swap of a prototype set, on a real device process."""

import asyncio
import hashlib
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from moteye_protocol import models, wire
from moteye_protocol.prototype_set import set_hash, version
from moteye_protocol.set_delta import encode_delta
from support import live
from support.live import until
from support.sets import without_rows
from system.device.device_bench import DEVICE, hosting, prototype_set


@pytest.mark.parametrize("op", wire.OPERATIONS)
async def test_t07_retained_command_is_refused(host, make_device, encoder_hash, op):
    data = prototype_set(encoder_hash)
    args = {
        "frame.get": {"frame": 0},
        "set.begin": {"sha256": hashlib.sha256(data).digest(), "size": len(data)},
        "set.abort": {"set": set_hash(data)},
    }
    command = host.command(op, args=args.get(op, {}))
    await host.publish("command", models.encode(command), retain=True)
    async with make_device(frames=True) as device:
        reply = await host.next("reply", lambda reply: reply.tid == command.tid)
        assert (reply.ok, reply.code) == (False, "retained")
        await device.wait_for_line("is retained; refused")
        assert (await host.ask("ping")).ok
    assert [state.state for state in host.of("set_state")] == ["idle"]
    assert host.of("frame") == []


async def test_t08_old_command_is_answered_expired(host, make_device):
    hours_ago = int(time.time() * 1000) - 2 * 3600 * 1000
    async with make_device():
        await host.next("birth")
        reply = await host.ask("set.begin", issued=hours_ago, args={})
        assert (reply.ok, reply.code) == (False, "expired")
        assert (await host.ask("ping")).code == "ok"


async def test_t08_command_for_an_earlier_session_is_refused(host, make_device):
    async with make_device():
        birth = await host.next("birth")
        assert (await host.ask("ping", s=birth.s)).code == "ok"
        assert (await host.ask("ping", s=birth.s - 1)).code == "stale_session"


async def test_t06_command_with_the_same_tid_is_done_once(host, make_device):
    async with make_device():
        await host.next("birth")
        for _ in range(3):
            await host.ask("report", tid="again")
        await until(lambda: len(host.of("reply")) == 3, "three answers")
        assert (await host.ask("ping")).ok
    assert len(host.of("birth")) == 2


async def test_garbage_on_the_command_topic_is_survived(host, make_device):
    source = np.random.default_rng(3)
    async with make_device() as device:
        await host.next("birth")
        topic = models.topic(DEVICE, "command")
        host.messages.clear()
        for size in range(1, 60):
            await host._client.publish(topic, source.bytes(size) + b"\xc1", 1)
        raw = await device.wait_for_line("cmd: ")
        assert raw
        command = models.encode(host.command("ping"))
        await host._client.publish(topic, command, 1)
        await host.next("reply")


async def test_embeddings_say_why(host, make_device, encoder_hash):
    async with make_device(settings={"change_below_q8": 256, "heartbeat_ms": 60_000}):
        await until(lambda: len(host.of("embedding")) >= 4, "embeddings")
    found = host.of("embedding")
    assert found[0].encoder == encoder_hash
    assert found[0].set is None
    assert {message.why for message in found} <= {"first", "change", "settle"}
    assert [message.n for message in found] == sorted(message.n for message in found)
    assert len({message.frame for message in found}) == len(found)


async def test_picture_of_a_published_frame_arrives(broker, host, make_device):
    async with make_device(frames=True, settings={"heartbeat_ms": 500}):
        newest = (await host.next("embedding", lambda e: e.why == "heartbeat")).frame
        reply = await host.ask("frame.get", args={"frame": newest})
        assert reply.code == "ok"
        await until(lambda: len(host.of("frame")) >= 225, "225 chunks", 20)
    chunks = {chunk.i: chunk for chunk in host.of("frame")}
    assert sorted(chunks) == list(range(225))
    picture = b"".join(chunks[index].data for index in range(225))
    assert (chunks[0].w, chunks[0].h, len(picture)) == (320, 240, 320 * 240 * 3)
    assert zlib.crc32(picture) == chunks[0].crc
    assert np.frombuffer(picture, np.uint8).std() > 10


async def test_embeddings_are_not_held_up_by_a_picture(host, make_device):
    async with make_device(frames=True, settings={"heartbeat_ms": 100}):
        for _ in range(3):
            host.messages.clear()
            newest = (await host.next("embedding")).frame
            await host.ask("frame.get", args={"frame": newest})
            await until(lambda: len(host.of("frame")) >= 225, "225 chunks", 20)
        assert (await host.ask("frame.get", args={"frame": newest + 10_000})).code == "gone"
    delays = [message.up - message.at for message in host.of("embedding")]
    assert max(delays) < 1000


async def test_pictures_stay_where_the_owner_keeps_them(host, make_device):
    async with make_device(frames=False):
        frame = (await host.next("embedding")).frame
        assert (await host.ask("frame.get", args={"frame": frame})).code == "forbidden"
    assert host.of("frame") == []


async def swapped(host, data):
    reply = await host.begin(data)
    assert (reply.ok, reply.have, reply.chunks) == (True, False, -(-len(data) // 1024))
    await host.send_chunks(data)
    name = set_hash(data)
    return await host.next("set_state", lambda s: s.state == "confirmed" and s.set == name)


async def test_set_is_used_after_the_swap_and_after_a_restart(host, make_device, encoder_hash):
    first = prototype_set(encoder_hash, seed=1, number=1)
    second = prototype_set(encoder_hash, seed=2, number=2, rows=200, dim=256)
    async with make_device() as device:
        await host.next("birth")
        for number, data in ((1, first), (2, second)):
            state = await swapped(host, data)
            assert (state.version, state.code) == (version(number, data), "ok")
            await host.next("embedding", lambda e, data=data: e.set == set_hash(data))
            seen = await host.next("detections", lambda d, data=data: d.set == set_hash(data))
            assert 1 <= len(seen.rows) <= 16
            assert [row[1] for row in seen.rows] == sorted((r[1] for r in seen.rows), reverse=True)
        assert (await host.begin(second)).have is True
        session = host.of("birth")[0].s
        await device.kill()
        await device.restart()
        birth = await host.next("birth", lambda birth: birth.s > session)
        assert (birth.set, birth.set_version) == (set_hash(second), version(2, second))


async def test_chunks_in_any_order_some_twice(host, make_device, encoder_hash):
    data = prototype_set(encoder_hash, rows=150, dim=128)
    count = -(-len(data) // 1024)
    order = [*np.random.default_rng(1).permutation(count), *range(count)]
    async with make_device():
        await host.next("birth")
        await host.begin(data)
        await host.send_chunks(data, [int(index) for index in order])
        await host.next("set_state", lambda state: state.state == "confirmed")


async def test_begin_again_tells_what_is_missing_and_goes_on(host, make_device, encoder_hash):
    data = prototype_set(encoder_hash, rows=150, dim=128)
    async with make_device() as device:
        await host.next("birth")
        await host.begin(data)
        await host.send_chunks(data, [0, 2, 3])
        count = -(-len(data) // 1024)
        await until(lambda: host.of("set_state"), "a state")
        reply = await host.begin(data)
        missing = host.replies[reply.tid]["missing"]
        assert missing == [index for index in range(count) if index not in (0, 2, 3)]
        other = prototype_set(encoder_hash, seed=9)
        assert (await host.begin(other)).code == "busy"
        await host.send_chunks(data, missing)
        await host.next("set_state", lambda state: state.state == "confirmed")
        assert device.running


async def test_t31_transfer_goes_on_after_a_power_cut(host, make_device, encoder_hash):
    data = prototype_set(encoder_hash, rows=150, dim=128)
    async with make_device() as device:
        birth = await host.next("birth")
        await host.begin(data)
        await host.send_chunks(data, [0, 2, 3])
        assert (await host.ask("ping")).ok
        await device.kill()
        await device.restart()
        await host.next("birth", lambda later: later.s > birth.s)
        assert (await host.next("set_state", lambda s: s.s > birth.s)).got == 3
        reply = await host.begin(data)
        assert reply.missing == [i for i in range(-(-len(data) // 1024)) if i not in (0, 2, 3)]
        await host.send_chunks(data, reply.missing)
        await host.next("set_state", lambda state: state.state == "confirmed")
    states = [state.state for state in host.of("set_state")]
    assert states[-3:] == ["verified", "trial", "confirmed"]


async def test_delta_swaps_a_set_in_one_message(host, make_device, encoder_hash):
    target = prototype_set(encoder_hash, rows=101, dim=256, number=2)
    base = without_rows(target, 40)
    async with make_device() as device:
        await host.next("birth")
        await swapped(host, base)
        delta = encode_delta(base, target)
        reply = await host.begin(target, base=set_hash(base), delta=delta)
        assert (reply.code, reply.missing) == ("ok", [])
        state = await host.next(
            "set_state", lambda s: s.state == "confirmed" and s.set == set_hash(target)
        )
        assert state.version == version(2, target)
        await host.next("detections", lambda d: d.set == set_hash(target))
        await device.kill()
        await device.restart()
        await host.next("birth", lambda b: b.s > state.s and b.set == set_hash(target))


async def test_t26_trial_without_frames_goes_back(host, make_device, encoder_hash):
    good, late = (prototype_set(encoder_hash, seed=seed) for seed in (1, 2))
    async with make_device(settings={"trial_s": 2}) as device:
        birth = await host.next("birth")
        device._camera._server.close()
        for task in list(device._camera._serving):
            task.cancel()
        await device.wait_for_line("camera: no frames from")
        await host.begin(good)
        await host.send_chunks(good)
        state = await host.next("set_state", lambda state: state.state == "reverted")
        assert (state.code, state.set, birth.set) == ("frames", None, None)
        assert (await host.begin(late)).ok
        assert device.running


async def test_abort_makes_room_for_another_set(host, make_device, encoder_hash):
    first = prototype_set(encoder_hash, rows=150)
    second = prototype_set(encoder_hash, seed=5)
    async with make_device():
        await host.next("birth")
        await host.begin(first)
        wrong = await host.ask("set.abort", args={"set": set_hash(second)})
        assert wrong.code == "no_transfer"
        assert (await host.ask("set.abort", args={"set": set_hash(first)})).code == "ok"
        await host.next("set_state", lambda state: state.state == "idle" and state.of == 0)
        await swapped(host, second)


def damaged(data):
    found = bytearray(data)
    found[len(found) // 2] ^= 1
    return bytes(found)


@pytest.mark.parametrize(
    "fault", ["bad_hash", "bad_crc", "wrong_encoder", "bad_format", "bad_size"]
)
async def test_set_with_a_fault_is_refused_and_the_old_one_stays(
    host, make_device, encoder_hash, fault
):
    good = prototype_set(encoder_hash)
    bad = prototype_set(encoder_hash, seed=7, rows=60)
    if fault == "wrong_encoder":
        bad = prototype_set(bytes(8), seed=7)
    elif fault == "bad_crc":
        bad = damaged(bad)
    elif fault == "bad_format":
        bad = b"MEPS\x09" + bad[5:]
    elif fault == "bad_size":
        bad = bad[:-1]
    async with make_device() as device:
        await host.next("birth")
        await swapped(host, good)
        await host.begin(bad)
        sent = damaged(bad) if fault == "bad_hash" else bad
        await host.send_chunks(sent, name=set_hash(bad))
        state = await host.next("set_state", lambda state: state.state == "refused")
        assert (state.code, state.set) == (fault, set_hash(good))
        last = host.of("embedding")[-1].n
        assert (await host.next("embedding", lambda e: e.n > last)).set == set_hash(good)
        await device.restart()
        await host.next("birth", lambda birth: birth.s > state.s and birth.set == set_hash(good))


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ({"sha256": b"x" * 32, "size": 262_145}, "too_large"),
        ({"sha256": b"x" * 32, "size": 63}, "bad_argument"),
        ({"sha256": b"x" * 31, "size": 5000}, "bad_argument"),
        ({"size": 5000}, "bad_argument"),
        ({"sha256": b"x" * 32, "size": True}, "bad_argument"),
    ],
)
async def test_wrong_begin_is_refused(host, make_device, args, code):
    async with make_device():
        await host.next("birth")
        assert (await host.ask("set.begin", args=args)).code == code


async def test_t64_garbage_flash_is_named_and_not_used(host, make_device, tmp_path):
    flash = tmp_path / "flash"
    flash.mkdir()
    (flash / "flash.bin").write_bytes(b"MEPS" + bytes(500))
    async with make_device() as device:
        birth = await host.next("birth")
        assert birth.set is None
        await device.wait_for_line("made anew")


async def test_t64_set_before_serves_when_the_last_one_is_damaged(
    host, make_device, tmp_path, encoder_hash
):
    sets = [prototype_set(encoder_hash, seed=seed, number=seed) for seed in (1, 2)]
    async with make_device() as device:
        await host.next("birth")
        for data in sets:
            await swapped(host, data)
        await device.stop()
        flash = tmp_path / "flash" / "flash.bin"
        flash.write_bytes(flash.read_bytes().replace(sets[1], damaged(sets[1])))
        await device.restart()
        birth = await host.next("birth", lambda birth: birth.set == set_hash(sets[0]))
        assert birth.set_version == version(1, sets[0])
        await device.wait_for_line("is not used: bad_hash")


async def test_t64_factory_set_serves_when_the_stored_one_is_damaged(
    host, make_device, tmp_path, encoder_hash
):
    factory = prototype_set(encoder_hash, seed=11)
    (tmp_path / "factory.meps").write_bytes(factory)
    settings = {"factory_set": str(tmp_path / "factory.meps")}
    async with make_device(settings=settings) as device:
        await host.next("birth")
        stored = prototype_set(encoder_hash)
        await swapped(host, stored)
        await device.stop()
        flash = tmp_path / "flash" / "flash.bin"
        flash.write_bytes(flash.read_bytes().replace(stored, damaged(stored)))
        host.messages.clear()
        await device.restart()
        assert (await host.next("birth")).set == set_hash(factory)
        await device.wait_for_line("the factory set is in use")


async def test_t64_folder_that_cannot_be_written_is_survived(
    broker, host, make_device, tmp_path, encoder_hash
):
    (tmp_path / "file").write_text("where a folder should be")
    async with make_device(data_dir=tmp_path / "file" / "flash") as device:
        await host.next("birth")
        await swapped(host, prototype_set(encoder_hash))
        await device.wait_for_line("will be forgotten at the next start")
        await device.restart()
        async with hosting(broker.port) as later:
            await later.next("embedding", lambda e: e.set is None)


async def test_t64_full_file_system_is_survived_and_named(
    host, make_device, tmp_path, encoder_hash
):
    """Every write meets ENOSPC, as in /dev/full; the factory's set serves, and a new one."""
    folder = tmp_path / "full"
    folder.mkdir()
    for name in ("session.new", "flash.bin"):
        (folder / name).symlink_to("/dev/full")
    factory = prototype_set(encoder_hash, number=3)
    (tmp_path / "factory.meps").write_bytes(factory)
    settings = {"factory_set": str(tmp_path / "factory.meps")}
    async with make_device(data_dir=folder, settings=settings) as device:
        birth = await host.next("birth")
        assert birth.set == set_hash(factory)
        assert birth.s > 1_700_000_000_000  # no count could be kept: unix time
        for text in ("session cannot be written", "flash.bin cannot be used"):
            await device.wait_for_line(text)
        await swapped(host, prototype_set(encoder_hash, seed=2))
        await device.wait_for_line("will be forgotten at the next start")


async def test_t62_memory_is_stable_over_frames(host, make_device, encoder_hash):
    async with make_device(interval_ms=0, settings={"heartbeat_ms": 100}):
        await host.next("birth")
        await swapped(host, prototype_set(encoder_hash))
        free = []
        for _ in range(6):
            before = host.of("embedding")[-1]
            await host.next("embedding", lambda e, n=before.n: e.n >= n + 15)
            reply = await host.ask("ping")
            free.append(host.replies[reply.tid]["memory"])
    assert min(free[1:]) > free[0] - 16_384


async def test_t62_looking_at_a_frame_allocates_nothing(
    make_device, encoder, encoder_hash, tmp_path
):
    (tmp_path / "set.meps").write_bytes(prototype_set(encoder_hash))
    script = Path(__file__).parent / "heap_locked.py"
    device = make_device()
    process = await asyncio.create_subprocess_exec(
        device._micropython,
        *("-X", "heapsize=4m", script, encoder, tmp_path),
        env={"MICROPYPATH": device.micropypath},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert output.decode().splitlines()[-1] == "nothing was allocated"


async def test_t67_a_device_of_500_classes_has_its_topics_and_no_more(
    broker, host, make_device, encoder_hash
):
    data = prototype_set(encoder_hash, rows=500, dim=64)
    async with make_device(), live.listening(broker.port) as heard:
        await host.next("birth")
        state = await swapped(host, data)
        await host.next("detections", lambda d: d.set == state.set)
        await host.ask("report")
    ours = f"{wire.TOPIC_ROOT}/{DEVICE}/"
    said = {topic for topic, _, _ in heard.messages if topic.startswith(ours)}
    assert said <= {ours + path for path, _, _, _ in wire.TOPICS.values()}
    assert len(wire.TOPICS) <= 12
    async with live.listening(broker.port) as late:
        await late.until(lambda: len(late.messages) >= 3, "what the broker retains")
    retained = {topic: payload for topic, payload, retain in late.messages if retain}
    assert set(retained) == {ours + path for path, _, _, kept in wire.TOPICS.values() if kept}
    assert sum(map(len, retained.values())) <= 32 * 1024

"""Presence: will and birth (T01), goodbye (T02), the race of wills (T03), sessions (T64)."""

import asyncio
import dataclasses
import os
import signal
from itertools import pairwise

import pytest
from moteye.camera.simulate import SimulationError
from moteye_protocol import models
from support.live import until
from system.device.device_bench import hosting, late_status

CYCLES = 100 if os.environ.get("MOTEYE_SWEEP") == "all" else 5


@pytest.mark.timeout(30 + 15 * CYCLES)
async def test_t01_killed_device_is_offline_and_restarted_one_online(broker, make_device):
    async with make_device() as device:
        session = (await late_status(broker.port, "online")).s
        for _ in range(CYCLES):
            await device.kill()
            assert (await late_status(broker.port, "offline")).s == session
            await device.restart()
            found = await late_status(broker.port, "online")
            assert found.s > session
            session = found.s


async def test_t01_status_and_birth_are_published_at_every_connect(broker, make_device, host):
    async with make_device():
        birth = await host.next("birth")
        assert birth.ops == ["ping", "report", "frame.get", "set.begin", "set.abort"]
        assert (birth.width, birth.height, birth.interval) == (320, 240, 50)
        await broker.stop()
        await broker.start()
        async with hosting(broker.port) as later:
            again = await until(lambda: later.of("birth", live=False), "a birth")
            assert again[0].s == birth.s
            assert again[0].n > birth.n
            await late_status(broker.port, "online")


async def test_t02_stopped_device_says_stopped(broker, make_device, host):
    async with make_device() as device:
        await host.next("birth")
        await device.stop()
        await late_status(broker.port, "stopped")
        assert "did not acknowledge" not in device.lines[-1]
        states = [status.state for status in host.of("status")]
    assert states == ["online", "stopped"]


async def test_t02_end_of_stdin_is_a_clean_stop(broker, make_device, host):
    async with make_device() as device:
        await host.next("birth")
        process = device._process
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 20) == 0
        await late_status(broker.port, "stopped")


async def test_t02_interrupt_is_a_clean_stop(broker, make_device, host):
    async with make_device() as device:
        await host.next("birth")
        device._process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(device._process.wait(), 20) == 0
        await late_status(broker.port, "stopped")


async def test_t03_stale_will_is_contradicted(broker, make_device, host):
    async with make_device():
        birth = await host.next("birth")
        will = models.Status(s=birth.s, state="offline")
        await host.publish("status", models.encode(will), retain=True)
        await host.next("status", lambda status: status.state == "offline")
        await late_status(broker.port, "online")


async def test_t64_lost_data_does_not_turn_the_session_back(broker, make_device, tmp_path):
    async with make_device() as device:
        sessions = [(await late_status(broker.port, "online")).s]
        for content in (None, b"", b"garbage", b"\xff" * 5000):
            await device.stop()
            for path in (tmp_path / "flash").iterdir():
                path.unlink()
            if content is not None:
                (tmp_path / "flash" / "session").write_bytes(content)
            await device.restart()
            sessions.append((await late_status(broker.port, "online")).s)
    assert all(later > sooner for sooner, later in pairwise(sessions))


async def test_wrong_configuration_ends_with_two_and_names_the_key(make_device):
    async with make_device(settings={"dim": 65}) as device:
        with pytest.raises(SimulationError, match="cam1 ended with code 2") as caught:
            await device.wait()
    assert "config.json: dim: expected one of (16, 32, 64, 128, 256), found 65" in str(caught.value)


async def test_damaged_model_pack_ends_with_two_and_says_so(make_device, encoder, tmp_path):
    pack = bytearray(encoder.read_bytes())
    pack[len(pack) // 2] ^= 1
    damaged = tmp_path / "encoder.mpk"
    damaged.write_bytes(pack)
    async with make_device(settings={"encoder": str(damaged)}) as device:
        with pytest.raises(SimulationError, match="is not a model pack"):
            await device.wait()


async def test_device_without_its_program_says_what_to_do(make_device, tmp_path):
    device = make_device(micropython=tmp_path / "none")
    with pytest.raises(SimulationError, match="none is not built: run `make setup`"):
        await device.__aenter__()


async def test_device_waits_for_a_camera_that_comes_late(broker, host, make_device):
    async with make_device() as device:
        await host.next("embedding")
        server = device._camera._server
        server.close()
        for task in list(device._camera._serving):
            task.cancel()
        await device.wait_for_line("camera: no frames from")
        assert (await host.ask("ping")).ok


async def test_t03_cleared_status_is_told_again(broker, make_device, host):
    async with make_device():
        birth = await host.next("birth")
        await host.publish("status", b"", retain=True)
        await host.next("birth", lambda again: again.n > birth.n)
        await late_status(broker.port, "online")


async def test_t22_frame_that_is_too_old_is_not_looked_at(make_device, host):
    async with make_device() as device:
        await host.next("embedding")
        source = device._camera._source
        fresh = source.next_frame

        async def from_a_queue(after):
            frame = await fresh(after)
            return dataclasses.replace(frame, captured_at_s=frame.captured_at_s - 30)

        source.next_frame = from_a_queue
        line = await device.wait_for_line("is not looked at")
        assert int(line.split("a frame of ")[1].split()[0]) >= 30_000
        last = host.of("embedding")[-1]
        reply = await host.ask("ping")
        assert host.replies[reply.tid]["stale_frames"] >= 1
        source.next_frame = fresh
        later = await host.next("embedding", lambda e: e.n > last.n + 1)
    assert later.up - later.at < 10_000
    assert all(e.up - e.at < 10_000 for e in host.of("embedding"))

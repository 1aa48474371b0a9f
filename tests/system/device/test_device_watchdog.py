"""The watchdog (T65): whatever stands still, the device starts anew and says where it was."""

import asyncio
import contextlib
import hashlib

import pytest
from moteye_protocol import models
from system.device.device_bench import hosting, prototype_set
from system.device.stalling import BREAKAGES, StallingDevice

LIMIT_S = 3
LONGER_S = 6  # of the one that must not be reset
# A connection that counts as TLS, and runs out of memory in each handshake.
HANDSHAKES = """import device, mqtt
def no_memory(*_):
    raise OSError(12)
plain = device.Device._make_client
def make(self):
    client = plain(self)
    client.secure = True
    return client
device.Device._make_client = make
device.Device._open_stream = no_memory
kept[_DONE] = 1"""
DEADLINE_S = 90  # for a machine with other work; the limit is what the watchdog counts


@pytest.fixture
def make_stalling(broker, camera, tmp_path, encoder):
    def make(stage, breakage, broker_settings=None, **settings):
        device = StallingDevice(
            device_id=f"stall-{stage}",
            broker_host="127.0.0.1",
            broker_port=broker.port,
            broker=broker_settings,
            camera_spec=camera,
            data_dir=tmp_path / stage,
            interval_ms=500,
            encoder=encoder,
            settings={
                "watchdog_s": LIMIT_S,
                "heartbeat_ms": 500,
                "max_set_bytes": 16384,
                **settings,
            },
        )
        plain = device._camera_settings
        device._camera_settings = lambda port: {**plain(port), "timeout_ms": 2000}
        device.breakage = breakage
        return device

    return make


async def provoke(stage, host, encoder_hash):
    """Some stages only a message of the host leads to."""
    data = prototype_set(encoder_hash)
    args = {"sha256": hashlib.sha256(data).digest(), "size": len(data)}
    while stage in ("command", "flash"):
        command = host.command("set.begin" if stage == "flash" else "ping", args=args)
        await host.publish("command", models.encode(command))
        await asyncio.sleep(0.5)


async def reset_of(stage, device, port, encoder_hash):
    """The birth after the reset, of a device that stood still at one stage."""
    async with hosting(port, device.id) as host, device:
        provoking = asyncio.create_task(provoke(stage, host, encoder_hash))
        await device.wait_for_line("stands still", DEADLINE_S)
        # one that starves beside other work is reset too, elsewhere, and comes to its stage later
        birth = await host.next(
            "birth", lambda b: b.reset != "power" and b.stage == stage, DEADLINE_S
        )
        provoking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await provoking
    return birth.reset, birth.stage


async def test_t65_each_stage_that_stands_still_is_ended_and_named(
    broker, make_stalling, encoder_hash
):
    found = await asyncio.gather(
        *(
            reset_of(stage, make_stalling(stage, breakage), broker.port, encoder_hash)
            for stage, breakage in BREAKAGES.items()
        )
    )
    assert found == [("watchdog", stage) for stage in BREAKAGES]


async def test_t65_a_device_that_gets_on_is_left_alone_and_says_how_it_started(
    broker, make_stalling
):
    """Without a camera and without a broker, for twice the limit."""
    device = make_stalling("none", "pass", interval_ms=0, watchdog_s=LONGER_S)
    async with hosting(broker.port, device.id) as host, device:
        assert (await host.next("birth")).reset == "power"
        heard = len(device.lines)
        await device._camera.__aexit__(None, None, None)
        await broker.stop()
        await device.wait_for_line("camera: no frames", DEADLINE_S, after=heard)
        await asyncio.sleep(2 * LONGER_S)
        await broker.start()
        await device.wait_for_line("device: online", DEADLINE_S, after=heard)
        assert not [line for line in device.lines if "watchdog" in line]


async def test_t61_a_device_whose_handshakes_fail_starts_anew_and_says_so(broker, make_stalling):
    """mbedTLS without memory, as seen on small boards: three times in a row, then no more."""
    device = make_stalling("tls", HANDSHAKES, max_handshakes=3)
    async with hosting(broker.port, device.id) as host, device:
        birth = await host.next("birth", deadline_s=DEADLINE_S)
        failed = [line for line in device.lines if "mqtt: lost" in line]
    assert (birth.reset, birth.stage) == ("handshakes", "")
    assert len(failed) == 3

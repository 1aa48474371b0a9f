"""The kit tells a good device from a broken one, and says which rule was broken."""

import pytest
from moteye.conformance import CHECKS, Bench, run_kit
from moteye.link.connection import BrokerUrl
from support.live import Mosquitto
from support.wire_device import FAULTS, ScriptedRig


@pytest.fixture
async def broker(tmp_path):
    mosquitto = Mosquitto(tmp_path)
    await mosquitto.start()
    yield mosquitto
    await mosquitto.stop()


async def outcomes(broker, *, fault=None, frames=False):
    """What became of every rule on a scripted device."""
    async with ScriptedRig(broker, fault=fault, frames=frames) as rig:
        url = BrokerUrl("127.0.0.1", broker.port, tls=False)
        async with Bench(url, rig.device.id, patience_s=2.5, watch_s=0.4, rest_s=0.15) as bench:
            return await run_kit(bench, rig, swap=True)


def failed(results):
    return {result.id: result.reason for result in results if result.outcome == "failed"}


@pytest.mark.parametrize("frames", [False, True])
async def test_a_device_that_keeps_the_rules_passes(broker, frames):
    results = await outcomes(broker, frames=frames)
    assert failed(results) == {}
    not_tried = {result.id for result in results if result.outcome == "not tried"}
    about_frames = {"wire-frame-001"} if frames else {"wire-frame-002", "wire-frame-003"}
    assert not_tried == about_frames


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_broken_device_fails_exactly_its_rule(broker, fault):
    rule = FAULTS[fault]
    found = failed(await outcomes(broker, fault=fault, frames=rule in NEED_FRAMES))
    assert set(found) == {rule}, found


NEED_FRAMES = {"wire-frame-002", "wire-frame-003"}


def test_every_rule_of_the_kit_has_a_device_that_breaks_it():
    assert set(FAULTS.values()) == set(CHECKS)

"""The kit tells a good device from a broken one, and says which rule was broken."""

import asyncio

import pytest
from moteye.conformance import CHECKS, Bench, run_kit
from moteye.link.connection import BrokerUrl
from support.live import Mosquitto
from support.wire_device import ScriptedRig
from support.wire_faults import FAULTS

KEY = b"\x07" * 32
AT_ONCE = 8
PATIENCE_S = 4.0
DEADLINE_S = 600
NEED_FRAMES = {"wire-frame-002", "wire-frame-003"}
GOOD = {
    "good": {},
    "good, with pictures": {"frames": True},
    "good, with a key": {"keys": (KEY,)},
}
DEVICES = GOOD | {
    fault: {
        "fault": fault,
        "frames": rule in NEED_FRAMES,
        "keys": (KEY,) if rule.startswith("wire-key-") else (),
    }
    for fault, rule in FAULTS.items()
}


async def outcomes(folder, **options):
    """What became of every rule on a scripted device."""
    folder.mkdir()
    broker = Mosquitto(folder)
    await broker.start()
    try:
        async with ScriptedRig(broker, **options) as rig:
            url = BrokerUrl("127.0.0.1", broker.port, tls=False)
            patience = {"patience_s": PATIENCE_S, "watch_s": 0.4, "rest_s": 0.15}
            async with Bench(url, rig.device.id, **patience, key=KEY) as bench:
                return await run_kit(bench, rig, swap=True)
    finally:
        await broker.stop()


async def all_outcomes(folder):
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number, options):
        async with room:
            return await outcomes(folder / str(number), **options)

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        tasks = {
            name: group.create_task(one(number, options))
            for number, (name, options) in enumerate(DEVICES.items())
        }
    return {name: task.result() for name, task in tasks.items()}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The results of all devices by name. Most of the time is waiting, so they wait together."""
    return asyncio.run(all_outcomes(tmp_path_factory.mktemp("devices")))


def failed(results):
    return {result.id: result.reason for result in results if result.outcome == "failed"}


@pytest.mark.timeout(DEADLINE_S + 60)
@pytest.mark.parametrize("device", GOOD)
def test_a_device_that_keeps_the_rules_passes(found, device):
    results = found[device]
    assert failed(results) == {}
    not_tried = {result.id for result in results if result.outcome == "not tried"}
    keyed, frames = "key" in device, "pictures" in device
    expected = {"wire-cmd-003", "wire-cmd-009", "wire-codec-002"} if keyed else KEY_RULES
    assert not_tried == expected | ({"wire-frame-001"} if frames else NEED_FRAMES)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_device_fails_exactly_its_rule(found, fault):
    reasons = failed(found[fault])
    assert set(reasons) == {FAULTS[fault]}, reasons


KEY_RULES = {rule for rule in CHECKS if rule.startswith("wire-key-")}


def test_every_rule_of_the_kit_has_a_device_that_breaks_it():
    assert set(FAULTS.values()) == set(CHECKS)

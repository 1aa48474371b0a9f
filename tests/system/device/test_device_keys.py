"""A device with keys: it obeys who signs with them, and nobody else."""

import asyncio

import aiomqtt
import pytest
from moteye.errors import DeviceRefused
from moteye.keys import FleetKeys
from moteye.link.devices import Devices
from moteye.link.swap import swap
from moteye_protocol import models, wire
from moteye_protocol.prototype_set import set_hash
from moteye_protocol.signing import sign_command
from support.live import until
from support.sets import without_rows
from system.device.device_bench import DEVICE, prototype_set

KEYS = FleetKeys(b"\x01" * 32)


class Owner:
    """The agent's own code for devices, on a connection of its own."""

    def __init__(self, client, key_of):
        self._client = client
        self.sent = []  # payloads to devices
        self.devices = Devices(self.publish, key_of)

    async def publish(self, topic, payload):
        self.sent.append(payload)
        await self._client.publish(topic, payload, 1)

    async def listen(self):
        async for raw in self._client.messages:
            self.devices.receive(str(raw.topic), raw.payload, raw.retain)

    async def device(self):
        found = await until(lambda: self.devices.all.get(DEVICE), "the device")
        await until(lambda: found.online, "its birth")
        return found


@pytest.fixture
async def owners(broker):
    """A maker of owners, each with its own keys."""
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        owner = Owner(client, KEYS.signing_key)
        await client.subscribe(f"{wire.TOPIC_ROOT}/{DEVICE}/#", 1)
        task = asyncio.create_task(owner.listen())
        yield owner
        task.cancel()


def of_device(keys):
    return {"keys": [key.hex() for key in keys.device_keys(DEVICE)]}


async def test_owner_is_obeyed_and_others_are_not(host, owners, make_device, encoder_hash):
    data = prototype_set(encoder_hash)
    async with make_device(settings=of_device(KEYS)) as device:
        birth = await host.next("birth")
        assert birth.keys == 1
        assert (await host.ask("ping")).code == "unsigned"
        assert (await host.begin(data)).code == "unsigned"
        found = await owners.device()
        await swap(owners.devices, owners.publish, found, data)
        assert found.set_state.set == set_hash(data)
        assert (await owners.devices.request(found, "ping")).ok
        key = KEYS.signing_key(DEVICE)
        plain = host.command("set.begin", s=birth.s, args={"sha256": bytes(32), "size": 100})
        await host.publish("command", sign_command(key, models.encode(plain)))
        reply = await host.next("reply", lambda reply: reply.tid == plain.tid)
        assert reply.code == "unsigned"
        assert device.running
    assert not any(key.hex() in line for line in device.lines)


async def test_delta_of_one_class_takes_at_most_400_bytes(owners, make_device, encoder_hash):
    target = prototype_set(encoder_hash, rows=101, dim=256, number=2)
    base = without_rows(target, 40)
    async with make_device(settings=of_device(KEYS)):
        found = await owners.device()
        await swap(owners.devices, owners.publish, found, base)
        owners.sent.clear()
        await swap(owners.devices, owners.publish, found, target, base)
        assert found.set_state.set == set_hash(target)
    assert sum(map(len, owners.sent)) <= 400


async def test_device_takes_both_keys_during_a_rotation(owners, make_device):
    rotated = KEYS.rotated()
    async with make_device(settings=of_device(rotated)) as device:
        found = await owners.device()
        assert found.birth.keys == 2
        assert (await owners.devices.request(found, "ping")).ok
        owners.devices._key_of = rotated.finished().signing_key
        assert (await owners.devices.request(found, "ping")).ok
        owners.devices._key_of = FleetKeys.new().signing_key
        with pytest.raises(DeviceRefused, match="unsigned"):
            await owners.devices.request(found, "ping")
        assert device.running


async def test_recorded_command_is_refused_after_a_restart(host, owners, make_device):
    async with make_device(settings=of_device(KEYS)) as device:
        birth = await host.next("birth")
        found = await owners.device()
        await owners.devices.request(found, "ping")
        await device.restart()
        await host.next("birth", lambda later: later.s > birth.s)
        host.messages.clear()
        await host.publish("command", owners.sent[-1])
        reply = await host.next("reply")
        assert reply.code == "stale_session"

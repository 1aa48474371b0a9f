"""The host's side of a swap: what goes out, and what is tried again."""

import asyncio
import hashlib

import pytest
from moteye.core.offer import Form, Offer
from moteye.errors import DeviceRefused, DeviceTimeout
from moteye.link import keeper as module
from moteye.link.devices import Devices
from moteye.link.keeper import SetKeeper
from moteye.link.swap import smaller_delta, swap
from moteye_protocol import models, wire
from moteye_protocol.codec import unpack
from moteye_protocol.prototype_set import decode, set_hash
from moteye_protocol.set_delta import encode_delta
from support.sets import random_set, without_rows, working_set
from support.swap_link import SwapLink

TARGET = random_set(101, 64, 1).encode()
BASE = without_rows(TARGET, 50)
NEVER_ALL = [0, 99]  # the last one is not sent: no confirmation


async def settle():
    """Let every task run until it waits."""
    for _ in range(200):
        await asyncio.sleep(0)


class ScriptedDevice:
    """Answers `set.begin` as a test says; says `confirmed` when nothing is missing."""

    def __init__(self, answers):
        self.answers = list(answers)  # fields of replies to set.begin, in turn
        self.begins, self.chunks = [], []
        self.number = 0
        self.devices = Devices(self.publish)
        self.say("birth", self.birth())
        self.device = self.devices.all["cam"]
        self.device.presence.status(1, "online")

    def birth(self):
        return {
            "fw": "t",
            "encoder": random_set(1, 64, 1).encoder_hash,
            "dim": 64,
            "width": 0,
            "height": 0,
            "set": None,
            "set_version": "",
            "frames": False,
            "max_set": 100_000,
            "ops": [],
            "interval": 1,
        }

    def say(self, name, fields):
        self.number += 1
        message = models.MESSAGES[name](s=1, n=self.number, t=None, up=0, **fields)
        self.devices.receive(models.topic("cam", name), models.encode(message), False)

    def state(self, state, code="ok", name=None):
        fields = {"state": state, "code": code, "set": name, "version": "", "dim": 64}
        self.say("set_state", fields)

    async def publish(self, topic, payload):
        message = unpack(payload)
        if topic.endswith("/set/chunk"):
            self.chunks.append(message["i"])
            self.left.discard(message["i"])
        else:
            self.begins.append(message["args"])
            answer = {"code": "ok", "have": False, **self.answers.pop(0)}
            self.left = set(answer.get("missing") or range(-(-len(TARGET) // wire.CHUNK_BYTES)))
            if answer.get("missing") == []:
                self.left = set()
            fields = {"tid": message["tid"], "ok": answer["code"] == "ok", **answer}
            self.say("reply", fields)
            if answer["code"] != "ok":
                return
        if not self.left:
            asyncio.get_running_loop().call_soon(self.state, "confirmed", "ok", set_hash(TARGET))

    async def swap(self, base=None):
        await swap(self.devices, self.publish, self.device, TARGET, base)


async def test_only_missing_chunks_go_out():
    device = ScriptedDevice([{"missing": [1, 3]}])
    await device.swap()
    assert device.chunks == [1, 3]


async def test_t31_peer_that_cannot_resume_is_sent_all():
    device = ScriptedDevice([{}])
    await device.swap()
    assert device.chunks == list(range(-(-len(TARGET) // 1024)))


async def test_delta_goes_out_where_the_base_is_known():
    device = ScriptedDevice([{"missing": []}])
    await device.swap(BASE)
    assert device.begins[0]["delta"] == encode_delta(BASE, TARGET)
    assert device.begins[0]["base"] == set_hash(BASE)
    assert device.begins[0]["sha256"] == hashlib.sha256(TARGET).digest()
    assert device.chunks == []


@pytest.mark.parametrize("code", ["wrong_base", "bad_delta"])
async def test_whole_set_goes_where_the_delta_is_refused(code):
    device = ScriptedDevice([{"code": code}, {"missing": [0, 1]}])
    await device.swap(BASE)
    assert "delta" not in device.begins[1]
    assert device.chunks == [0, 1]


async def test_peer_that_knows_no_deltas_is_sent_what_it_misses():
    device = ScriptedDevice([{"missing": [0, 2]}])
    await device.swap(BASE)
    assert device.chunks == [0, 2]


def test_delta_that_is_not_smaller_is_not_taken():
    other = random_set(101, 64, 2)
    assert smaller_delta(BASE, other.encode()) is None
    assert smaller_delta(random_set(101, 256, 1).encode(), TARGET) is None


@pytest.mark.parametrize("state", ["refused", "reverted"])
async def test_set_that_the_device_does_not_take_is_an_error_with_its_code(state):
    device = ScriptedDevice([{"missing": NEVER_ALL}])
    task = asyncio.create_task(device.swap())
    await settle()
    device.state(state, "canary")
    with pytest.raises(DeviceRefused, match="canary"):
        await task


async def test_restart_in_the_middle_is_an_error_at_once():
    device = ScriptedDevice([{"missing": NEVER_ALL}])
    task = asyncio.create_task(device.swap())
    await settle()
    device.device.presence.status(2, "online")
    device.device.changed.set()
    with pytest.raises(DeviceTimeout, match="restarted"):
        await task


@pytest.mark.parametrize(("code", "tries"), [("canary", 1), ("busy", 3), ("broker", 3)])
async def test_t27_keeper_offers_a_bad_set_once_and_others_again(monkeypatch, code, tries):
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    monkeypatch.setattr(module, "RETRY_SLOWLY_S", 0.0)
    device = ScriptedDevice([*[{"code": code}] * tries, {"missing": []}])
    keeper = SetKeeper(device.devices, device.publish, device.birth()["encoder"])
    keeper.want(Offer(Form(decode(TARGET), TARGET)))
    task = asyncio.create_task(keeper.run())
    await settle()
    task.cancel()
    assert len(device.begins) == (tries if code == "canary" else tries + 1)


def test_a_device_left_waiting_for_a_set_is_told_that_it_has_the_wanted_one():
    first, other = (working_set(b"encoder8", seed, epoch=1) for seed in (1, 2))
    link = SwapLink(b"encoder8", keyed=False)
    link.want(first)
    state = lambda: (link.device.swap.fields()["state"], link.device.swap.fields()["set"])
    confirmed = ("confirmed", set_hash(first))
    assert link.heal(lambda: state() == confirmed, 60)
    link.start_agent(other)  # which knows no base for a delta
    for _ in range(100):
        if state()[0] == "receiving":
            break
        link.wait(0.1)
        if link.up:
            link.to_agent(link.up.pop(0))
        if link.down:
            link.device.hear(link.down.pop(0))
    link.down.clear()  # its chunks are lost, and the agent with them
    link.start_agent(first)
    assert state() == ("receiving", set_hash(first))
    assert link.heal(lambda: state() == confirmed, 60)
    assert not link.device.swap.fields()["of"], "nothing is open any more"
    link.close()

import asyncio
import random
import zlib

import numpy as np
import pytest
from moteye.errors import DeviceRefused, DeviceTimeout
from moteye.link import devices as devices_module
from moteye.link.devices import Devices
from moteye.link.pictures import PictureAssembly
from moteye_protocol import models, wire


def chunks(picture: np.ndarray, frame: int = 5) -> list[models.FrameChunk]:
    data = picture.tobytes()
    parts = [data[at : at + wire.CHUNK_BYTES] for at in range(0, len(data), wire.CHUNK_BYTES)]
    height, width, _ = picture.shape
    return [
        models.FrameChunk(
            s=1,
            n=10 + index,
            t=None,
            up=0,
            frame=frame,
            at=0,
            i=index,
            total=len(parts),
            w=width,
            h=height,
            format="rgb888",
            crc=zlib.crc32(data),
            data=part,
        )
        for index, part in enumerate(parts)
    ]


PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)


def test_a_picture_comes_together_in_any_order_and_with_twins():
    pieces = chunks(PICTURE)
    pieces = pieces[:-1] + pieces[:3] + pieces[-1:]
    random.Random(1).shuffle(pieces[:-1])
    assembly = PictureAssembly(5)
    results = [assembly.add(piece) for piece in pieces]
    assert all(result is None for result in results[:-1])
    assert np.array_equal(results[-1], PICTURE)


def test_a_picture_with_a_wrong_crc_is_no_picture():
    pieces = chunks(PICTURE)
    damaged = [piece.model_copy(update={"crc": 1}) for piece in pieces]
    assembly = PictureAssembly(5)
    assert [assembly.add(piece) for piece in damaged] == [None] * len(damaged)
    assert [assembly.add(piece) for piece in pieces][-1] is not None


class Wire:
    """Devices whose commands are answered by a test."""

    def __init__(self, answer) -> None:
        self.devices = Devices(self.publish)
        self.answer = answer
        self.number = 0

    async def publish(self, topic, payload):
        name = models.split_topic(topic)[1]
        for message in self.answer(models.parse(name, payload)):
            self.give(message)

    def give(self, message, retain=False):
        if isinstance(message, models.DeviceMessage):
            self.number += 1
            message = message.model_copy(update={"n": self.number})
        topic = models.topic("cam", message.topic)
        return self.devices.receive(topic, models.encode(message), retain)

    def device(self):
        self.give(models.Status(s=1, state="online"))
        return self.devices.all["cam"]


def reply(command, code="ok", **more):
    return models.Reply(s=1, n=0, t=None, up=0, tid=command.tid, ok=code == "ok", code=code, **more)


async def test_a_request_returns_the_answer_to_it():
    wire_ = Wire(lambda command: [reply(command)])
    assert (await wire_.devices.request(wire_.device(), "ping")).ok


async def test_a_refusal_carries_its_code_and_hint():
    wire_ = Wire(lambda command: [reply(command, "forbidden")])
    with pytest.raises(DeviceRefused, match="frames: true") as caught:
        await wire_.devices.picture(wire_.device(), 3)
    assert caught.value.code == "forbidden"


async def test_silence_ends_in_a_timeout_that_names_the_device(monkeypatch):
    monkeypatch.setattr(devices_module, "REPLY_TIMEOUT_S", 0.05)
    wire_ = Wire(lambda command: [])
    device = wire_.device()
    with pytest.raises(DeviceTimeout, match="cam did not answer ping"):
        await wire_.devices.request(device, "ping")
    assert device.replies == {}


async def test_a_picture_that_lost_a_chunk_is_asked_for_again(monkeypatch):
    monkeypatch.setattr(devices_module, "PICTURE_TIMEOUT_S", 0.05)
    asked = []

    def answer(command):
        asked.append(command)
        pieces = chunks(PICTURE)
        return [reply(command), *(pieces[1:] if len(asked) == 1 else pieces)]

    wire_ = Wire(answer)
    assert np.array_equal(await wire_.devices.picture(wire_.device(), 5), PICTURE)
    assert len(asked) == 2


async def test_twins_stale_and_malformed_are_counted_and_dropped():
    wire_ = Wire(lambda command: [])
    wire_.device()
    state = models.SetState(s=1, n=5, t=None, up=0, state="idle", set=None, version="", dim=64)
    payload = models.encode(state)
    topic = models.topic("cam", "set_state")
    assert wire_.devices.receive(topic, payload, False) is not None
    assert wire_.devices.receive(topic, payload, False) is None
    assert wire_.devices.receive(topic, b"\xc1", False) is None
    assert wire_.devices.receive(topic, b"", True) is None
    assert wire_.devices.counters == {"set_state.twin_or_stale": 1, "set/state.malformed": 1}
    await asyncio.sleep(0)

"""An Arm core and this machine see the same in the same pictures, to the byte."""

import asyncio
import hashlib

import pytest
from moteye.resources import model_dir
from support.boards import BUILD_S
from support.live import listening
from system.device.device_bench import prototype_set
from system.ports.board_bench import Album, make_device, photos

PICTURES = 20
SAID = 3
ROWS = 40
FRAMES_S = 600  # an emulated UART may carry no more than 8 KB a second


async def seen_by(port, broker, pictures, folder):
    """What a device says about each picture: {frame: (embedding, similarity, boxes, rows)}."""
    folder.mkdir()
    encoder = hashlib.sha256((model_dir() / "encoder.mpk").read_bytes()).digest()[:8]
    (folder / "factory.meps").write_bytes(prototype_set(encoder, rows=ROWS))
    album = Album(pictures)
    settings = {
        "change_below_q8": 257,  # every picture is news
        "factory_set": str(folder / "factory.meps"),
        "keepalive_s": 60,
    }
    async with (
        listening(broker.port) as listener,
        make_device(
            port, broker.port, album, folder / "flash", interval_ms=20, settings=settings
        ) as device,
    ):
        await device.wait_for_line("device: online")
        album.opened.set()
        await listener.until(
            lambda: len(listener.of(port, "detections")) == PICTURES, "all frames", FRAMES_S
        )
        rows = {told.frame: told.rows for told in listener.of(port, "detections")}
        return {
            told.frame: (told.e, told.sim, told.boxes, rows[told.frame])
            for told in listener.of(port, "embedding")
        }


@pytest.mark.timeout(BUILD_S + FRAMES_S + 60)
async def test_embeddings_and_detections_are_those_of_the_unix_device(port, mosquitto, tmp_path):
    pictures = photos(PICTURES)
    here, there = await asyncio.gather(
        seen_by("unix", mosquitto, pictures, tmp_path / "unix"),
        seen_by(port, mosquitto, pictures, tmp_path / port),
    )
    assert sorted(here) == list(range(PICTURES))
    assert len({embedding for embedding, *_ in here.values()}) == PICTURES
    assert all(boxes is not None for _, _, boxes, _ in here.values())
    assert len({boxes for _, _, boxes, _ in here.values() if boxes}) > PICTURES // 2
    assert all(rows for *_, rows in here.values())
    assert there == here


async def said_by(port, broker, pictures, folder):
    """What a device says of each picture: [(frame, text, words, log-probability, pack)]."""
    folder.mkdir()
    album = Album(pictures)
    settings = {"change_below_q8": 257, "keepalive_s": 60, "captions": {"enabled": True}}
    said = []
    async with (
        listening(broker.port) as listener,
        make_device(
            port, broker.port, album, folder / "flash", interval_ms=20, settings=settings
        ) as device,
    ):
        await device.wait_for_line("device: online")
        album.allow(0)
        album.opened.set()
        for number in range(len(pictures)):
            album.allow(number)  # the next picture comes when this one has been said
            await listener.until(
                lambda n=number: len(listener.of(port, "caption")) == n + 1, "a caption", FRAMES_S
            )
        for told in listener.of(port, "caption"):
            said.append((told.frame, told.text, told.tokens, told.logp, told.model))
    return said


@pytest.mark.timeout(BUILD_S + FRAMES_S + 60)
async def test_captions_are_those_of_the_unix_device(port, mosquitto, tmp_path):
    pictures = photos(SAID)
    here, there = await asyncio.gather(
        said_by("unix", mosquitto, pictures, tmp_path / "unix"),
        said_by(port, mosquitto, pictures, tmp_path / port),
    )
    assert [frame for frame, *_ in here] == list(range(SAID))
    assert all(text for _, text, *_ in here)
    assert there == here

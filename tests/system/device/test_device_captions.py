"""Captions of a real device process: asked for, on a change, by the clock; what they say."""

import hashlib
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from moteye.camera.sources import Frame
from moteye.resources import model_dir
from moteye_protocol import wire
from moteye_training.augment import box_resize
from moteye_training.captions.integer import IntDecoder, caption
from moteye_training.captions.pack import CaptionPack
from moteye_training.captions.tap import MapReader
from support.caption_packs import with_words
from system.ports.board_bench import photos

PACK = model_dir() / "captions.cpk"


class Still:
    """The same picture, as often as it is asked for."""

    def __init__(self, picture: np.ndarray) -> None:
        self._picture = picture

    async def next_frame(self, after: int) -> Frame | None:
        return Frame(after + 1, time.monotonic(), self._picture)

    async def aclose(self) -> None:
        """Nothing is held."""


def reference(picture: np.ndarray, path: Path = PACK) -> tuple[str, list[int], int]:
    """Text, words and log-probability by LiteRT and the integer reference."""
    pack = CaptionPack.from_bytes(path.read_bytes())
    maps = MapReader(model_dir() / "encoder.tflite")(box_resize(picture))
    said = caption(IntDecoder(pack), maps, 3)
    return " ".join(pack.text(word) for word in said.words), said.words, said.logp_q10


def captions(**settings: object) -> dict[str, object]:
    return {"captions": {"enabled": True, **settings}}


@pytest.mark.parametrize("number", [0, 1])
async def test_caption_of_a_frame_is_the_references(host, make_device, number):
    picture = photos(2)[number]
    async with make_device(camera_spec=Still(picture), settings=captions()):
        told = await host.next("caption")
        text, tokens, logp = reference(picture)
        assert (told.text, told.tokens, told.logp) == (text, tokens, logp)
        assert told.why == "change"
        assert told.model == hashlib.sha256(PACK.read_bytes()).digest()[:8]
        birth = await host.next("birth")
        assert birth.captions == told.model
        assert "describe" in birth.ops


async def test_describe_is_answered_by_a_caption(host, make_device):
    device = make_device(settings=captions(on_change=False), camera_spec=Still(photos(1)[0]))
    async with device:
        await host.next("birth")
        reply = await host.ask("describe")
        assert reply.ok
        told = await host.next("caption", lambda m: m.why == "asked")
        assert told.text
        assert len(host.of("caption")) == 1  # nothing was said unasked
        frames = [m.frame for m in host.of("embedding")]
        assert told.frame <= max(frames) + 1
        ping = await host.ask("ping")
        assert host.replies[ping.tid]["word_ms"] is not None


async def test_captions_come_by_the_clock_and_looking_goes_on(host, make_device):
    device = make_device(settings=captions(on_change=False, every_s=1), heartbeat_ms=100)
    async with device:
        first = await host.next("caption")
        second = await host.next("caption", lambda m: m.frame > first.frame)
        assert first.why == second.why == "time"
        assert second.at - first.at >= 900
        between = [m for m in host.of("embedding") if first.frame < m.frame < second.frame]
        assert len(between) >= 2


async def test_device_without_captions_knows_no_describe(host, make_device):
    async with make_device():
        birth = await host.next("birth")
        assert "describe" not in birth.ops
        assert birth.captions is None
        reply = await host.ask("describe")
        assert reply.code == "unknown_operation"


async def test_pack_of_another_encoder_is_refused_and_the_device_looks_all_the_same(
    host, make_device, tmp_path
):
    pack = CaptionPack.from_bytes(PACK.read_bytes())
    wrong = tmp_path / "wrong.cpk"
    wrong.write_bytes(replace(pack, encoder=b"12345678").to_bytes())
    async with make_device(settings=captions(pack=str(wrong))) as device:
        await device.wait_for_line(f"captions: {wrong} does not go with this encoder")
        await host.next("embedding")
        assert (await host.next("birth")).captions is None


def in_other_scripts(word: str) -> str:
    """The word in characters of two, three and four bytes; few of them fill a caption."""
    return "".join(chr(base + ord(letter)) for letter in word for base in (0x400, 0x4E00, 0x1F300))


async def test_caption_in_other_scripts_arrives_whole_and_is_cut_between_words(
    host, make_device, tmp_path
):
    shipped = CaptionPack.from_bytes(PACK.read_bytes())
    words = [
        in_other_scripts(3 * shipped.text(number))[:12].encode()
        for number in range(2, shipped.sizes.words)
    ]
    path = tmp_path / "scripts.cpk"
    path.write_bytes(with_words(shipped, words).to_bytes())
    picture = photos(1)[0]
    text, tokens, logp = reference(picture, path)
    assert len(text.encode()) > wire.MAX_CAPTION_BYTES > len(text)
    settings = captions(pack=str(path))
    async with make_device(camera_spec=Still(picture), settings=settings):
        told = await host.next("caption")
    assert (told.tokens, told.logp) == (tokens, logp)
    assert text.startswith(told.text + " ")
    following = text[len(told.text) + 1 :].split(" ")[0]
    whole = f"{told.text} {following}".encode()
    assert len(told.text.encode()) <= wire.MAX_CAPTION_BYTES < len(whole)


async def test_pack_with_words_not_in_utf_8_is_refused(host, make_device, tmp_path):
    shipped = CaptionPack.from_bytes(PACK.read_bytes())
    words = [shipped.text(number).encode() for number in range(2, shipped.sizes.words)]
    wrong = tmp_path / "latin.cpk"
    wrong.write_bytes(with_words(shipped, [*words[:-1], "café".encode("latin-1")]).to_bytes())
    async with make_device(settings=captions(pack=str(wrong))) as device:
        await device.wait_for_line(f"{wrong} does not go with this encoder and firmware: words not")
        await host.next("embedding")
        assert (await host.next("birth")).captions is None


def test_shipped_pack_is_of_the_shipped_encoder() -> None:
    pack = CaptionPack.from_bytes(PACK.read_bytes())
    encoder = (model_dir() / "encoder.mpk").read_bytes()
    assert pack.encoder == hashlib.sha256(encoder).digest()[:8]

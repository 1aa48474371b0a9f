"""A fleet that mixes encoders, with real parts: two devices, each with a model pack of its own."""

import asyncio
import shutil

import aiomqtt
import numpy as np
import pytest
from moteye.history import Replay, explain_at
from moteye.imaging import ImageEncoder
from moteye.policies import load
from moteye.resources import model_dir
from moteye.spaces import compile_recorded
from moteye.store import Store
from moteye.text.space import load_space, shipped_spaces
from moteye_protocol.codebook_set import read_set
from structlog.testing import capture_logs
from support.live import (
    ScriptedDevice,
    device,
    listening,
    running_agent,
    scene,
    skimage_photo,
    write_policy,
)

CAT = "see: a cat\nthen: [log]\n"
LIKE = "see: {like: [chelsea.png]}\nthen: [log]\n"  # each encoder looks at it by itself
MODELS = {"large": "accurate", "small": "fast"}


@pytest.mark.timeout(240)
async def test_each_device_is_served_in_the_space_of_its_encoder(mosquitto, tmp_path):
    port, store = mosquitto.port, f"sqlite:///{tmp_path / 'state' / 'moteye.db'}"
    folder = write_policy(tmp_path / "policies", "cat", LIKE)
    shutil.copy(skimage_photo("chelsea.png"), folder)
    encoders = {name: encoder for encoder, name in shipped_spaces().items()}
    async with listening(port) as heard, asyncio.TaskGroup() as cameras:
        stop = asyncio.Event()

        async def look(name: str, model: str) -> None:
            folder = tmp_path / name
            folder.mkdir()
            camera = scene(folder, ("skimage:coffee", 4), ("skimage:chelsea", 600))
            options = {"device_id": name, "settings": {"heartbeat_ms": 400}}
            pack = model_dir(model) / "encoder.mpk"
            async with device(port, camera, folder, encoder=pack, **options):
                await stop.wait()

        for name, model in MODELS.items():
            cameras.create_task(look(name, model))
        async with running_agent(folder, port=port, embedded=False, store=store) as agent:
            await heard.until(lambda: len(heard.alerts) == len(MODELS), "an alert of each camera")
            await heard.until(
                lambda: agent.counters["detections.compared"] >= 2, "results to compare"
            )
            assert agent.counters["detections.unequal"] == 0
            await heard.until(
                lambda: all(row["current"] for row in agent.in_force.fleets.status()["devices"]),
                "every device to use its set",
            )
            for name, model in MODELS.items():
                used = agent.in_force.fleets.form(agent.devices.all[name].set_hash)
                assert read_set(used.data).encoder_hash == encoders[model], "a set of its own space"
            for name, model in MODELS.items():
                told = heard.of(name, "embedding")[-1]
                picture = await agent.devices.picture(agent.devices.all[name], told.frame)
                ours = ImageEncoder(model_dir(model) / "encoder.tflite").encode(picture)
                assert ours.tobytes() == told.e, "device and host see the same"
        stop.set()
    assert {alert["camera"] for alert in heard.alerts} == set(MODELS)
    async with running_agent(folder, port=port, embedded=False, store=store) as again:
        assert again.in_force.encoders == [encoders["accurate"], encoders["fast"]], "remembered"
    record = Store(store, read_only=True)
    space = load_space()
    compiled = compile_recorded(space, load(folder), record, dim=64)
    assert set(compiled.others) == {encoders["fast"]}
    replay = Replay(compiled, space.encoder_hash)
    assert [d.json() for d in replay.feed(record.events())] == [
        d.json() for d in record.decisions()
    ]
    assert replay.skipped == 0
    at_ms = max(decision.time_ms for decision in record.decisions())
    explained = explain_at(compiled, space.encoder_hash, record, at_ms + 1000, policy="cat")
    assert {one.seen.device for one in explained} == set(MODELS)


async def test_an_encoder_that_nobody_knows_is_told_once_with_what_there_is(mosquitto, tmp_path):
    port = mosquitto.port
    folder = write_policy(tmp_path / "policies", "cat", CAT)
    with capture_logs() as logs:
        async with (
            listening(port) as heard,
            running_agent(folder, port=port, embedded=False) as agent,
            aiomqtt.Client("127.0.0.1", port) as client,
        ):
            script = ScriptedDevice(client, None, "old", session=1)
            await script.say(script.birth(), retain=True)
            for _ in range(3):
                await script.say(script.embedding(np.ones(256, np.int8)))
            await heard.until(lambda: agent.counters["embedding.other_space"] == 3, "three frames")
    (told,) = [log for log in logs if log.get("encoder") == b"another!".hex()]
    assert told["device"] == "old"
    assert load_space().encoder_hash.hex() in told["known"]

"""The whole way of a frame and of a phrase, with real parts: broker, MicroPython device, photos."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from moteye.camera.sources import fit, read_photo
from PIL import Image
from support.live import (
    device,
    free_port,
    listening,
    running_agent,
    scene,
    skimage_photo,
    sklearn_photo,
    write_policy,
)

ROOT = Path(__file__).parents[3]
PLANT = "see: [a plant, a potted plant, a flower]\nnew: true\nthen:\n  - log\n  - save: {folder}\n"


@pytest.fixture(params=["embedded", "mosquitto"])
def broker(request):
    """(port, whether the agent runs the broker itself)."""
    if request.param == "embedded":
        return free_port(), True
    return request.getfixturevalue("mosquitto").port, False


async def test_alert_after_the_plant_and_none_before(broker, tmp_path):
    port, embedded = broker
    policies = write_policy(tmp_path / "policies", "new-plant", PLANT)
    camera = scene(tmp_path, ("skimage:coffee", 3), ("skimage:chelsea", 2), ("sklearn:flower", 60))
    async with running_agent(policies, port=port, embedded=embedded) as agent:
        async with (
            listening(port) as heard,
            device(port, camera, tmp_path, settings={"heartbeat_ms": 500}),
        ):
            await heard.until(lambda: heard.alerts, "the alert")
            arrived = len(heard.of("cam", "embedding"))
            await heard.until(
                lambda: len(heard.of("cam", "embedding")) >= arrived + 2, "two heartbeats more"
            )
    assert len(heard.alerts) == 1
    alert = heard.alerts[0]
    assert (alert["policy"], alert["camera"]) == ("new-plant", "cam")
    assert alert["probability"] >= 0.5
    picture = np.asarray(Image.open(alert["picture"]), float)
    assert picture.shape == (240, 320, 3)
    shown = fit(read_photo(sklearn_photo("flower.jpg")), (320, 240)).astype(float)
    assert np.abs(picture - shown).mean() < 4, "sensor noise apart, it is the flower"
    assert agent.counters["detections.unequal"] == 0
    assert agent.counters["detections.compared"] > 0


async def test_a_policy_for_something_absent_never_fires(tmp_path):
    port = free_port()
    policies = write_policy(
        tmp_path / "policies", "boat", "see: [a sailing boat, a giraffe]\nthen: [log]\n"
    )
    camera = scene(tmp_path, ("skimage:coffee", 2), ("skimage:chelsea", 2), ("sklearn:flower", 2))
    async with running_agent(policies, port=port, embedded=True):
        async with (
            listening(port) as heard,
            device(port, camera, tmp_path, settings={"heartbeat_ms": 300}),
        ):
            seen = heard.of
            await heard.until(lambda: len(seen("cam", "embedding")) >= 14, "fourteen frames")
    assert heard.alerts == []


async def test_a_policy_added_at_run_time_works_without_restarting_the_device(tmp_path):
    port = free_port()
    policies = write_policy(tmp_path / "policies", "boat", "see: a sailing boat\nthen: [log]\n")
    camera = scene(tmp_path, ("skimage:chelsea", 600))
    settings = {"heartbeat_ms": 500}
    async with (
        running_agent(policies, port=port, embedded=True) as agent,
        listening(port) as heard,
        device(port, camera, tmp_path, settings=settings),
    ):
        confirmed = lambda: [s for s in heard.of("cam", "set_state") if s.state == "confirmed"]
        await heard.until(lambda: len(confirmed()) >= 1, "the first set")
        write_policy(tmp_path / "policies", "cat", "see: a cat\nthen: [log]\n")
        await heard.until(lambda: heard.alerts, "the alert of the new policy")
        await heard.until(lambda: len(confirmed()) >= 2, "the second set")
        (policies / "cat.yaml").unlink()
        await heard.until(lambda: len(agent.engine.policies) == 1, "the policy to go")
        (policies / "broken.yaml").write_text("sea: a cat\n")
        events = lambda: [p for t, p, _ in heard.messages if t.endswith("_agent/event")]
        await heard.until(events, "the report of the broken file")
        assert b"broken.yaml:1:1" in events()[0]
        assert [item.policy.name for item in agent.engine.policies] == ["boat"]
    assert heard.alerts[0]["policy"] == "cat"
    assert len({birth.s for birth in heard.of("cam", "birth")}) == 1, "the device started again"
    assert confirmed()[0].set != confirmed()[1].set


async def test_broker_killed_and_restarted_nothing_fires_twice(mosquitto, tmp_path):
    policies = write_policy(tmp_path / "policies", "cat", "see: a cat\ncooldown: 0s\nthen: [log]\n")
    camera = scene(tmp_path, ("skimage:chelsea", 600))
    settings = {"heartbeat_ms": 300}
    async with running_agent(policies, port=mosquitto.port, embedded=False) as agent:
        async with (
            listening(mosquitto.port) as heard,
            device(mosquitto.port, camera, tmp_path, settings=settings) as camera_device,
        ):
            await heard.until(lambda: heard.alerts, "the alert")
            for _ in range(2):
                before = len(heard.of("cam", "embedding"))
                connects = agent.connection.connects
                await mosquitto.stop()
                await asyncio.sleep(0.5)
                await mosquitto.start()
                # Both, before the next kill: either may be the one that waits longer.
                await heard.until(
                    lambda count=connects: agent.connection.connects > count,
                    "the agent to be back",
                )
                await heard.until(
                    lambda count=before: len(heard.of("cam", "embedding")) > count + 3,
                    "frames after the restart",
                )
            assert camera_device.running
            sessions = {birth.s for birth in heard.of("cam", "birth")}
            assert len(sessions) == 1, "the device started again"
    assert len(heard.alerts) == 1


@pytest.mark.parametrize(("photo", "expected"), [("chelsea.png", 1), ("coffee.png", 0)])
async def test_alert_on_a_cat_from_a_folder(tmp_path, photo, expected):
    """The README's first own policy: a folder with a cat fires, one without stays silent."""
    port = free_port()
    policies = write_policy(tmp_path / "policies", "cat", "see: a cat\nthen: [log]\n")
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(skimage_photo(photo), folder)
    settings = {"heartbeat_ms": 300}
    async with (
        running_agent(policies, port=port, embedded=True),
        listening(port) as heard,
        device(port, f"folder:{folder}", tmp_path, settings=settings),
    ):
        await heard.until(lambda: len(heard.of("cam", "embedding")) >= 8, "eight frames")
        if expected:
            await heard.until(lambda: heard.alerts, "the alert")
    assert len(heard.alerts) == expected


async def test_no_picture_leaves_a_device_whose_owner_did_not_allow_it(tmp_path):
    port = free_port()
    policies = write_policy(
        tmp_path / "policies", "cat", "see: a cat\nthen:\n  - log\n  - save: {folder}\n"
    )
    camera = scene(tmp_path, ("skimage:chelsea", 600))
    async with running_agent(policies, port=port, embedded=True):
        async with listening(port) as heard, device(port, camera, tmp_path, frames=False):
            await heard.until(lambda: heard.alerts, "the alert")
            told = len(heard.of("cam", "embedding"))
            await heard.until(lambda: len(heard.of("cam", "embedding")) >= told + 3, "more frames")
            asked = {command.op for command in heard.of("cam", "command")}
    assert heard.alerts[0]["picture"] is None
    assert "set.begin" in asked, "commands were heard"
    assert "frame.get" not in asked
    assert heard.of("cam", "frame") == []


def run_demo(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(ROOT / "examples/demo/demo.py"), "--once", *arguments],
        capture_output=True,
        text=True,
        timeout=110,
        cwd=ROOT,
    )


def test_demo_ends_with_one_alert_and_its_picture():
    done = run_demo()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ALERT") == 1
    said = next(line for line in done.stdout.splitlines() if "picture that decided" in line)
    assert Image.open(said.split(": ", 1)[1]).size == (320, 240)


def test_demo_without_the_plant_photos_fails(tmp_path):
    text = (ROOT / "examples/demo/scene.yaml").read_text()
    lines = [line for line in text.splitlines() if "flower" not in line]
    assert len(lines) < len(text.splitlines())
    (tmp_path / "scene.yaml").write_text("\n".join(lines))
    done = run_demo("--scene", str(tmp_path / "scene.yaml"), "--timeout", "25")
    assert done.returncode == 1, done.stdout
    assert "ALERT" not in done.stdout
    assert "no alert within 25 s" in done.stdout

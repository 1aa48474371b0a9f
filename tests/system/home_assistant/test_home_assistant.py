"""The house, in Home Assistant's own core: what it shows, what it may ask for, what is left."""

import asyncio
import io
import json

import aiomqtt
import pytest
from moteye.cli.devices import forget_device
from moteye.link.connection import BrokerUrl
from moteye.topics import AGENT_TOPIC
from PIL import Image
from support.live import device, running_agent, scene, write_policy
from system.home_assistant.conftest import running_home_assistant

POLICY = "see: a cat\ncooldown: 0s\nthen: [log]\n"


async def retained(port: int) -> dict[str, bytes]:
    """All that the broker holds."""
    found: dict[str, bytes] = {}
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe("#")
        await client.publish("test/end", b"x")
        async for message in client.messages:
            if str(message.topic) == "test/end":
                return found
            if message.retain:
                found[str(message.topic)] = message.payload
    return found


@pytest.mark.timeout(400)
async def test_t48_t51_t52_a_camera_from_its_first_words_to_its_removal(
    mosquitto, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    policies = write_policy(tmp_path / "policies", "cat", POLICY)
    camera = scene(tmp_path, *[("skimage:coffee", 4), ("skimage:chelsea", 4)] * 50)
    port = mosquitto.port
    async with running_home_assistant(tmp_path / "ha", port) as house:
        settings = {"home_assistant": True, "sets": "ask"}
        async with running_agent(policies, port=port, embedded=False, **settings):
            async with device(port, camera, tmp_path):
                states = await house.until(
                    lambda s: s["moteye_cam_set"]["state"] == "on", "an update to be offered"
                )
                update = states["moteye_cam_set"]
                assert update["attributes"]["installed_version"] == "0"
                latest = update["attributes"]["latest_version"]
                assert latest.startswith("1-")
                assert states["moteye_agent_moteye-agent_policy_cat"]["state"] == "on"
                data = {"entity_id": update["entity_id"]}
                assert await house.ask("call", service="update.install", data=data) == "done"
                states = await house.until(
                    lambda s: s["moteye_cam_set"]["state"] == "off"
                    and not s["moteye_cam_set"]["attributes"]["in_progress"],
                    "the set to be in use, and the spinner to end",
                )
                installed = states["moteye_cam_set"]["attributes"]["installed_version"]
                assert installed == latest
                states = await house.until(
                    lambda s: s["moteye_cam_alert"]["state"] not in (None, "unknown")
                    and s["moteye_cam_present_cat"]["state"] == "on"
                    and s["moteye_cam_last_phrase"]["state"] == "a cat",
                    "the alert",
                )
                event = states["moteye_cam_alert"]["attributes"]
                assert (event["event_type"], event["policy"], event["camera"]) == (
                    "seen",
                    "cat",
                    "cam",
                )
                assert states["moteye_cam_last_alert"]["attributes"]["id"] == event["id"]
                states = await house.until(
                    lambda s: s["moteye_cam_last_picture"]["state"] not in (None, "unknown"),
                    "the picture of the alert",
                )
                shown = states["moteye_cam_last_picture"]["entity_id"]
                picture = await house.ask("image", entity=shown)
                assert picture["type"] == "image/png"
                pixels = Image.open(io.BytesIO(bytes.fromhex(picture["hex"])))
                assert pixels.size == (320, 240)
                assert await house.ask("devices") == ["moteye moteye-agent", "moteye cam"]
                # A policy that is switched off is not in force, and leaves no entity behind.
                switch = states["moteye_agent_moteye-agent_policy_cat"]["entity_id"]
                await house.ask("call", service="switch.turn_off", data={"entity_id": switch})
                await house.until(lambda s: "moteye_cam_present_cat" not in s, "its removal")
            await house.until(
                lambda s: s["moteye_cam_alert"]["state"] == "unavailable", "the camera to be away"
            )
            await forget_device(BrokerUrl("127.0.0.1", port, tls=False), "cam")
            await house.until(lambda s: "moteye_cam_alert" not in s, "the camera to be gone")
            assert await house.ask("devices") == ["moteye moteye-agent"]
            for _ in range(100):  # the discovery message goes first, the states after it
                found = await retained(port)
                left = [topic for topic in found if "/cam/" in topic or "_cam/" in topic]
                if not left:
                    break
                await asyncio.sleep(0.1)
            assert left == []
        await house.until(
            lambda s: s["moteye_agent_moteye-agent_cameras_online"]["state"] == "unavailable",
            "the agent to be away",
        )
        assert await house.ask("log") == []


async def test_t48_what_a_crash_left_is_cleared_by_the_next_run(mosquitto, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("moteye.home.bridge.SETTLE_S", 1.0)
    policies = write_policy(tmp_path / "policies", "cat", POLICY)
    ledger = tmp_path / "state" / "moteye" / "home-assistant.json"
    ledger.parent.mkdir(parents=True)
    config, state = "homeassistant/device/moteye_old/config", f"{AGENT_TOPIC}/home/old/state"
    ledger.write_text(
        json.dumps({"devices": {config: {"alert": "event"}}, "states": {state: config}})
    )
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
        for topic in (config, state):
            await client.publish(topic, b"{}", 1, retain=True)
    async with running_agent(policies, port=mosquitto.port, embedded=False, home_assistant=True):
        for _ in range(300):
            left = {config, state} & set(await retained(mosquitto.port))
            if not left:
                break
            await asyncio.sleep(0.1)
        assert left == set()
    assert "moteye_old" not in ledger.read_text()

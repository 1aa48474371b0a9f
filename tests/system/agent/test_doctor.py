"""`moteye doctor` and the ACL templates, on a real mosquitto."""

import asyncio
import contextlib
import json
import re
import ssl

import aiomqtt
import pytest
from moteye.config import load_settings
from moteye.doctor import examine
from moteye.keys import FleetKeys
from moteye_protocol import models, wire
from support.acl_broker import PASSWORDS, TEMPLATES, acl_broker
from support.live import ScriptedDevice, write_policy
from support.live import running_agent as running

POLICY = "see: a cat\nthen: [log]\n"


@pytest.fixture
async def closed(tmp_path):
    async with acl_broker(tmp_path) as broker:
        yield broker


def device_config(broker, folder, name="cam1", **changes):
    """A device's configuration file, as its owner would have it."""
    line = {"host": "localhost", "port": broker.devices_port, **broker.device_settings(name)}
    path = folder / f"{name}.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps({"id": name, "broker": line, **changes}))
    return path


async def examined(url, *, devices=(), **settings):
    found = load_settings(broker=url, **settings)
    return [finding async for finding in examine(found, devices=list(devices))]


def failures(findings):
    return [finding.text for finding in findings if finding.state == "fail"]


def as_device(broker, name):
    context = ssl.create_default_context(cafile=str(broker.authority.ca))
    return aiomqtt.Client(
        "localhost",
        broker.devices_port,
        username=name,
        password=PASSWORDS[name],
        identifier=name,
        tls_context=context,
    )


def as_agent(broker):
    return aiomqtt.Client(
        "127.0.0.1", broker.port, username="agent", password=PASSWORDS["agent"], identifier="a"
    )


def test_templates_name_each_topic_of_the_wire():
    for name, who in (("mosquitto.acl", "%u"), ("emqx-acl.conf", "${username}")):
        text = (TEMPLATES / name).read_text()
        for path, sender, _, _ in wire.TOPICS.values():
            assert f"{wire.TOPIC_ROOT}/{who}/{path}" in text, f"{name}: {path} ({sender})"
    for line in (TEMPLATES / "mosquitto.acl").read_text().splitlines():
        assert not line.startswith("pattern") or "%u" in line, line


async def test_t16_a_device_hears_and_says_nothing_of_others(closed):
    heard, said = [], []
    async with as_agent(closed) as agent, as_device(closed, "cam1") as one:
        for topic in ("#", f"{wire.TOPIC_ROOT}/cam2/#", "homeassistant/#", "+/+/+/embedding"):
            with contextlib.suppress(aiomqtt.MqttError):
                await one.subscribe(topic, 1)
        await one.subscribe(models.topic("cam1", "command"), 1)
        await agent.subscribe("#", 1)
        for name in wire.TOPICS:
            await agent.publish(models.topic("cam2", name), b"private", 1)
            await one.publish(models.topic("cam2", name), b"forged", 1)
        for topic in ("homeassistant/device/x/config", f"{wire.TOPIC_ROOT}/_agent/alert"):
            await agent.publish(topic, b"private", 1)
            await one.publish(topic, b"forged", 1)
        await agent.publish(models.topic("cam1", "command"), b"last", 1)
        async with asyncio.timeout(10):
            async for message in one.messages:
                heard.append(message.payload)
                if message.payload == b"last":
                    break
        await one.publish(models.topic("cam1", "reply"), b"last of cam1", 1)
        async with asyncio.timeout(10):
            async for message in agent.messages:
                said.append(message.payload)
                if message.payload == b"last of cam1":
                    break
    assert heard == [b"last"]
    assert b"forged" not in said


async def test_t16_a_device_cannot_take_the_place_of_another(closed):
    async with as_device(closed, "cam2") as two:
        await two.subscribe(models.topic("cam2", "command"), 1)
        thief = as_device(closed, "cam1")
        thief._client._client_id = b"cam2"
        async with thief, as_agent(closed) as agent:
            await agent.publish(models.topic("cam2", "command"), b"still here", 1)
            async with asyncio.timeout(10):
                assert (await anext(two.messages)).payload == b"still here"


async def test_doctor_passes_a_closed_broker_with_keys(closed, tmp_path):
    keys = FleetKeys.new()
    keys.save(tmp_path / "keys.json", new=True)
    owned = [key.hex() for key in keys.device_keys("cam1")]
    path = device_config(closed, tmp_path, keys=owned)
    policies = write_policy(tmp_path / "policies", "cat", POLICY)
    settings = {"broker": closed.agent_url, "keys": tmp_path / "keys.json"}
    async with running(policies, port=closed.port, embedded=False, **settings):
        found = await examined(closed.agent_url, devices=[path], keys=tmp_path / "keys.json")
    assert failures(found) == []
    texts = "\n".join(finding.text for finding in found)
    for said in ("mosquitto version", "messages of 4096 bytes come back", "an agent is online"):
        assert said in texts
    assert texts.count("cannot write") == texts.count("cannot read") == 3
    assert not any(secret in texts for secret in (*owned, *PASSWORDS.values()))


async def test_doctor_names_each_hole_of_an_open_broker(mosquitto, tmp_path):
    path = tmp_path / "cam1.json"
    line = {"host": "127.0.0.1", "port": mosquitto.port, "user": "cam1", "password": "x"}
    path.write_text(json.dumps({"id": "cam1", "broker": line}))
    path.chmod(0o644)
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
        await client.publish(models.topic("cam1", "command"), b"\x80", 1, retain=True)
    found = await examined(f"mqtt://agent:y@127.0.0.1:{mosquitto.port}", devices=[path])
    holes = "\n".join(failures(found))
    for hole in (
        "without user and password are let in",
        "a wrong password is accepted",
        "a retained command lies on moteye/v1/cam1/cmd",
        f"others may read {path}",
        "cam1: can write other devices' topics",
        "cam1: can write the agent's topics",
        "cam1: can write Home Assistant's discovery",
        "cam1: can read other devices' topics",
        "cam1: can read the agent's topics",
        "cam1: can read Home Assistant's discovery",
    ):
        assert hole in holes
    assert all(finding.todo for finding in found if finding.state != "ok")


@pytest.mark.parametrize(
    ("line", "hole"),
    [
        ("pattern read moteye/v1/+/embedding", "cam1: can read other devices' topics"),
        ("pattern write moteye/v1/+/cmd", "cam1: can write other devices' topics"),
        ("pattern write homeassistant/#", "cam1: can write Home Assistant's discovery"),
    ],
)
async def test_t16_doctor_finds_one_wrong_line_in_the_acl(tmp_path, line, hole):
    text = (TEMPLATES / "mosquitto.acl").read_text()
    async with acl_broker(tmp_path, f"{text}\n{line}\n") as broker:
        found = await examined(broker.agent_url, devices=[device_config(broker, tmp_path)])
        assert [re.sub(r" \(.*", "", text) for text in failures(found)] == [f"device {hole}"]


async def test_doctor_names_what_is_wrong_with_devices(closed, tmp_path):
    keys = FleetKeys.new()
    keys.save(tmp_path / "keys.json", new=True)
    path = device_config(closed, tmp_path, keys=["00" * 32])
    async with as_agent(closed) as agent:
        script = ScriptedDevice(agent, None, "cam1", session=1)
        await script.say(models.Status(s=1, state="online"), retain=True)
        await script.say(script.birth(), retain=True)
        found = await examined(closed.agent_url, devices=[path], keys=tmp_path / "keys.json")
    holes = "\n".join(failures(found))
    assert "its encoder is" in holes
    assert "did not answer ping" in holes
    assert "has no key of this fleet" in holes
    assert "would throw it out" in holes


async def test_doctor_says_who_is_not_let_in(closed):
    wrong = f"mqtt://agent:wrong@127.0.0.1:{closed.port}"
    texts = failures(await examined(wrong))
    assert len(texts) == 1
    assert "does not let us in" in texts[0]
    assert "wrong" not in texts[0]

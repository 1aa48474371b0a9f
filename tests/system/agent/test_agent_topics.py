"""The agent's own topics behind the ACL template: who may say what; what a retained word does."""

import asyncio
import contextlib
import json

import aiomqtt
import pytest
from moteye.topics import AGENT_TOPIC
from moteye_protocol import models
from support.acl_broker import PASSWORDS, acl_broker
from support.live import running_agent, write_policy

POLICY = "see: a cat\nthen: [log]\n"


@pytest.fixture
async def closed(tmp_path):
    async with acl_broker(tmp_path) as broker:
        yield broker


def as_user(broker, name):
    return aiomqtt.Client("127.0.0.1", broker.port, username=name, password=PASSWORDS[name])


async def heard_until(client, last):
    """Payloads by topic, until the payload `last` comes."""
    found = {}
    async with asyncio.timeout(20):
        async for message in client.messages:
            if message.payload == last:
                return found
            found.setdefault(str(message.topic), []).append(message.payload)
    return found


async def test_t16_who_may_speak_to_the_agent_and_on_the_topics_of_policies(closed):
    """Home Assistant and the agent share `home/#`; a device has no part in it."""
    words = ("ack", "feedback", "home/cam1/cmd")
    forbidden = [f"{AGENT_TOPIC}/{name}" for name in ("cmd", "status", "alert", "home/cam1/state")]
    forbidden += [models.topic("cam1", name) for name in ("command", "set_chunk", "status")]
    async with (
        as_user(closed, "agent") as agent,
        as_user(closed, "homeassistant") as home,
        as_user(closed, "cam1") as stranger,
    ):
        await agent.subscribe("#", 1)
        for topic in (*(f"{AGENT_TOPIC}/{name}" for name in words), "home/alarm"):
            await stranger.publish(topic, b"forged", 1)
            await home.publish(topic, b"said", 1)
        for topic in forbidden:
            await home.publish(topic, b"forged", 1)
        await home.publish("home/alarm", b"last of home", 1)
        found = await heard_until(agent, b"last of home")
        said = {topic for topic, payloads in found.items() if b"said" in payloads}
        assert said == {"home/alarm", *(f"{AGENT_TOPIC}/{name}" for name in words)}
        assert b"forged" not in [one for payloads in found.values() for one in payloads]
        for topic in (f"{AGENT_TOPIC}/#", "home/#", models.topic("cam1", "command")):
            await home.subscribe(topic, 1)
            with contextlib.suppress(aiomqtt.MqttError):
                await stranger.subscribe(topic, 1)
        await agent.publish(models.topic("cam1", "command"), b"private", 1)
        await agent.publish("home/phone", b"told", 1)
        await agent.publish(f"{AGENT_TOPIC}/alert", b"last of agent", 1)
        found = await heard_until(home, b"last of agent")
        assert list(found) == ["home/phone"]


async def say(home, retain):
    """An acknowledgement and a mark, the latter with a `tid` that says how."""
    await home.publish(f"{AGENT_TOPIC}/ack", json.dumps({"what": f"{retain}"}), 1, retain)
    mark = {"event": "none-such", "said": "wrong", "tid": f"{retain}"}
    await home.publish(f"{AGENT_TOPIC}/feedback", json.dumps(mark), 1, retain)


async def test_t07_retained_words_to_an_agent_change_nothing(closed, tmp_path):
    folder = write_policy(tmp_path / "policies", "cat", POLICY)
    events = []
    async with as_user(closed, "homeassistant") as home:
        await home.subscribe(f"{AGENT_TOPIC}/event", 1)
        await say(home, True)
        settings = {"port": closed.port, "embedded": False, "broker": closed.agent_url}
        async with running_agent(folder, **settings):
            await say(home, False)
            async with asyncio.timeout(20):
                async for message in home.messages:
                    events.append(json.loads(message.payload))
                    if events[-1].get("tid") == "False":
                        break
    assert [told["what"] for told in events if told["event"] == "acknowledged"] == ["False"]
    marks = {told["tid"]: told for told in events if told["event"] == "feedback"}
    assert marks["True"]["ok"] is False
    assert "retained" in marks["True"]["text"]
    assert "retained" not in marks["False"]["text"]

"""What a broker may bring: malformed messages on every topic, twins, other encoders."""

import random

import aiomqtt
import pytest
from moteye_protocol import models, wire
from moteye_protocol.codec import pack
from support.live import (
    ScriptedDevice,
    cat_and_coffee,
    free_port,
    listening,
    running_agent,
    write_policy,
)

MALFORMED = [
    b"\xc1",
    b"\x00",
    b"not msgpack at all",
    b"\x81\xa1v\x01",
    pack({"v": 2, "s": 1}),
    pack({"v": 1, "s": "one", "n": -1, "state": "happy"}),
    pack({"v": 1, "s": 2**60, "n": 0, "t": None, "up": 0}),
    bytes(5000),
    b"\xdf\xff\xff\xff\xff",
    b"\x91" * 300,
]


@pytest.fixture
def cat(tmp_path):
    policies = write_policy(tmp_path / "policies", "cat", "see: a cat\ncooldown: 0s\nthen: [log]\n")
    return policies


async def test_malformed_messages_on_every_topic_are_counted_and_survived(cat):
    port = free_port()
    rng = random.Random(4)
    async with running_agent(cat, port=port, embedded=True) as agent:
        async with listening(port) as heard, aiomqtt.Client("127.0.0.1", port) as client:
            sent = 0
            for name, (_, sender, _, _) in wire.TOPICS.items():
                for payload in [*MALFORMED, rng.randbytes(200), rng.randbytes(2000)]:
                    await client.publish(models.topic("evil", name), payload, 1)
                    sent += sender == "device"
            await client.publish(f"{wire.TOPIC_ROOT}/Not An Id/birth", b"\x80", 1)
            script = ScriptedDevice(client, agent, "good", session=1)
            await script.say(script.birth(), retain=True)
            seen = cat_and_coffee()[0]
            for _ in range(3):
                await script.say(script.embedding(seen))
            await heard.until(lambda: heard.alerts, "the alert of the good device")
        refused = sum(n for key, n in agent.devices.counters.items() if "malformed" in key)
        refused += sum(n for key, n in agent.devices.counters.items() if ".version" in key)
    assert refused >= sent
    assert [alert["camera"] for alert in heard.alerts] == ["good"]


async def test_t06_twins_change_nothing(cat):
    """Each message one to five times, shuffled within the window: the alerts are the same."""
    cat_vector, coffee = cat_and_coffee()
    outcomes = []
    for seed in (None, 1, 2):
        port = free_port()
        rng = random.Random(seed)
        async with running_agent(cat, port=port, embedded=True) as agent:
            async with listening(port) as heard, aiomqtt.Client("127.0.0.1", port) as client:
                script = ScriptedDevice(client, agent, "cam", session=3)
                await script.say(script.birth(), retain=True)
                vectors = ([coffee] * 3 + [cat_vector] * 3) * 4
                messages = [script.embedding(vector) for vector in vectors]
                for index, message in enumerate(messages):
                    await script.say(message)
                    if seed is not None:
                        for _ in range(rng.randint(0, 4)):
                            await script.say(messages[rng.randint(0, index)])
                end = script.embedding(coffee)
                await script.say(end)
                last = (
                    lambda number=end.n: agent.devices.all["cam"].presence.window.newest == number
                )
                await heard.until(last, "the last message")
                await heard.until(lambda: len(heard.alerts) >= 4, "four alerts")
        outcomes.append([(alert["id"], alert["frame"]) for alert in heard.alerts])
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert len(outcomes[0]) == 4


async def test_embeddings_of_another_encoder_are_left_alone(cat):
    port = free_port()
    async with running_agent(cat, port=port, embedded=True) as agent:
        async with listening(port) as heard, aiomqtt.Client("127.0.0.1", port) as client:
            script = ScriptedDevice(client, agent, "foreign", session=1)
            script.encoder = b"another!"
            await script.say(script.birth(), retain=True)
            for _ in range(4):
                await script.say(script.embedding(cat_and_coffee()[0]))
            await heard.until(
                lambda: agent.counters["embedding.other_space"] == 4, "four foreign embeddings"
            )
            assert heard.of("foreign", "command") == []
    assert heard.alerts == []


async def test_a_late_will_of_an_older_session_changes_nothing(cat):
    port = free_port()
    async with running_agent(cat, port=port, embedded=True) as agent:
        async with listening(port) as heard, aiomqtt.Client("127.0.0.1", port) as client:
            script = ScriptedDevice(client, agent, "cam", session=5)
            await script.say(models.Status(s=5, state="online"), retain=True)
            await script.say(script.birth(), retain=True)
            await script.say(models.Status(s=4, state="offline"))
            await script.say(script.embedding(cat_and_coffee()[1]))
            known = agent.devices.all
            await heard.until(
                lambda: "cam" in known and known["cam"].presence.window.newest == 2, "the frame"
            )
            assert known["cam"].online

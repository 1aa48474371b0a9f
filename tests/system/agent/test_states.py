"""What comes over the broker beside frames: states that a `while:` asks for, acknowledgements."""

import asyncio
import json

import aiomqtt
import pytest
from moteye.history import Replay
from moteye.policies import load
from moteye.schedule import WhileSchedule
from moteye.store import Store
from moteye.text.space import load_space
from moteye.topics import ACK_TOPIC, AGENT_TOPIC
from support.command import MOTEYE
from support.live import ScriptedDevice, cat_and_coffee, listening, running_agent, write_policy

POLICY = """\
see: a cup of coffee
certainty: p >= 0.4
cooldown: 0s
while: {mqtt: {topic: home/alarm, is: armed}}
escalate: {after: 1s, every: 1s, most: 60, then: [{mqtt: home/siren}]}
finally: [{mqtt: {topic: home/over, payload: "{{ event }} {{ duration_s }}"}}]
then: [{mqtt: "home/{{ camera }}"}]
"""


@pytest.fixture
def views():
    return cat_and_coffee()


class House:
    """A scripted camera before an agent, and what passes on the broker."""

    def __init__(self, agent, client, heard, views) -> None:
        self.agent, self.client, self.heard = agent, client, heard
        self.cat, self.coffee = views
        self.script = ScriptedDevice(client, agent, "cam", session=1)

    async def show(self, *frames) -> None:
        for view in frames:
            await self.script.say(self.script.embedding(view))

    def on(self, topic: str) -> list[bytes]:
        return [payload for name, payload, _ in self.heard.messages if name == topic]

    async def suppressed(self, count: int) -> None:
        """Until so many decisions are on record that did not fire."""
        await self.heard.until(
            lambda: sum(not d.fired for d in self.agent.ledger._store.decisions()) >= count,
            f"{count} suppressed decisions",
        )


async def test_a_state_opens_a_policy_and_an_alert_is_told_until_it_is_acknowledged(
    tmp_path, store_url, views, mosquitto
):
    folder, port = write_policy(tmp_path / "policies", "cup", POLICY), mosquitto.port
    async with listening(port) as heard, aiomqtt.Client("127.0.0.1", port) as client:
        await client.publish("home/alarm", "disarmed", 1, retain=True)
        await client.publish(ACK_TOPIC, "refused: it would come back at every start", 1, True)
        async with running_agent(folder, port=port, embedded=False, store=store_url) as agent:
            house = House(agent, client, heard, views)
            await house.script.say(house.script.birth(), retain=True)
            await heard.until(
                lambda: agent.engine.standing.facts.get("home/alarm") == "disarmed", "the state"
            )
            await house.show(*[house.cat] * 3, *[house.coffee] * 3)
            await house.suppressed(1)
            await client.publish("home/alarm", "armed", 1, retain=True)
            await heard.until(
                lambda: agent.engine.standing.facts.get("home/alarm") == "armed", "the state"
            )
            await house.show(*[house.cat] * 3, *[house.coffee] * 3)
            await heard.until(lambda: house.on("home/siren"), "the first escalation")
            (first,) = house.on("home/cam")
            alert = json.loads(first)
            assert (alert["event"], alert["tag"]) == ("seen", "cup/cam")
            process = await asyncio.create_subprocess_exec(
                *MOTEYE,
                *("ack", alert["id"][:8], "--broker", f"mqtt://127.0.0.1:{port}"),
                stdout=asyncio.subprocess.PIPE,
            )
            out, _ = await process.communicate()
            assert (process.returncode, out.decode().strip()) == (
                0,
                f"acknowledged: {alert['id'][:8]}",
            )
            sirens = len(house.on("home/siren"))
            await house.show(*[house.cat] * 3)
            await heard.until(lambda: house.on("home/over"), "the end of the episode")
            assert house.on("home/over")[0].startswith(b"ended 0.")
            assert len(house.on("home/siren")) == sirens
            keys = {json.loads(payload)["key"] for payload in house.on("home/siren")}
            assert len(keys) == sirens
            assert len(heard.alerts) == 1
    events = [json.loads(p) for p in house.on(f"{AGENT_TOPIC}/event")]
    assert [e["what"] for e in events if e["event"] == "acknowledged"] == [alert["id"][:8]]
    record = Store(store_url)
    space = load_space()
    compiled = space.compile(load(folder), number=1, dim=64, schedule_of=WhileSchedule)
    replayed = Replay(compiled, space.encoder_hash).feed(record.events())
    assert [d.json() for d in replayed] == [d.json() for d in record.decisions()]
    (decision,) = [d for d in record.decisions() if d.fired]
    states = {row["state"] for row in record.outbox_of(decision)}
    assert states == {"done", "acknowledged"}


async def test_a_policy_that_asks_for_another_topic_is_told_what_is_retained_there(
    tmp_path, views, mosquitto
):
    folder, port = write_policy(tmp_path / "policies", "cup", POLICY), mosquitto.port
    async with listening(port) as heard, aiomqtt.Client("127.0.0.1", port) as client:
        await client.publish("home/night", "armed", 1, retain=True)
        async with running_agent(folder, port=port, embedded=False) as agent:
            assert agent.engine.topics == {"home/alarm"}
            write_policy(folder, "cup", POLICY.replace("home/alarm", "home/night"))
            await heard.until(
                lambda: agent.engine.standing.facts == {"home/night": "armed"}, "the new topic"
            )
            await client.publish("home/alarm", "armed", 1)
            await client.publish("home/night", "off", 1)
            await heard.until(
                lambda: agent.engine.standing.facts == {"home/night": "off"}, "the change"
            )

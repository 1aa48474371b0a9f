"""The agent's line to the broker: a twin (T04), and a line that swallows everything (T13)."""

import asyncio
import contextlib
import json
import time

import aiomqtt
import pytest
from moteye.conformance.rig import Line
from moteye.errors import LinkError
from moteye.link import connection as connection_module
from moteye.link.connection import BrokerUrl, Connection
from moteye.topics import STATUS_TOPIC
from structlog.testing import capture_logs
from support.live import listening, running_agent, until, write_policy

KEEPALIVE_S = 4
SCALE = 20  # times faster than life


@contextlib.asynccontextmanager
async def connected(port, client_id, **options):
    """A connection that keeps what it hears in `heard`."""
    heard = []

    async def hear(topic, payload, retain):
        heard.append(payload)

    found = Connection(
        BrokerUrl("127.0.0.1", port, tls=False),
        client_id=client_id,
        subscriptions=[("news", 1)],
        on_message=hear,
        **options,
    )
    found.heard = heard
    task = asyncio.create_task(found.run())
    await found.connected.wait()
    yield found
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_t04_twin_agents_reconnect_seldom_and_say_so_once(mosquitto, monkeypatch):
    for name in ("BACKOFF_S", "HEALTHY_S", "SHORT_SESSION_S", "TWIN_WAIT_S"):
        faster = getattr(connection_module, name) / SCALE
        monkeypatch.setattr(connection_module, name, faster)
    with capture_logs() as logs:
        async with connected(mosquitto.port, "twin") as one:
            async with connected(mosquitto.port, "twin") as other:
                await asyncio.sleep(60 / SCALE)  # the duel itself lasts this long
                counts = [one.connects - 1, other.connects - 1]
    assert max(counts) <= 5
    alarms = [line for line in logs if line["log_level"] == "error"]
    assert 1 <= len(alarms) <= 2
    assert all("another agent use this client id" in line["event"] for line in alarms)
    assert alarms[0]["client_id"] == "twin"


async def test_t04_a_broker_that_comes_and_goes_is_no_twin(mosquitto, monkeypatch):
    monkeypatch.setattr(connection_module, "BACKOFF_CAP_S", 0.2)
    with capture_logs() as logs:
        async with connected(mosquitto.port, "patient") as agent:
            for connects in range(2, 6):
                await mosquitto.stop()
                attempts = len(logs)
                await until(lambda seen=attempts: len(logs) > seen + 1, "another try", 10)
                await mosquitto.start()
                await until(lambda n=connects: agent.connects == n, "a connection", 10)
    assert [line for line in logs if line["log_level"] == "error"] == []


async def test_a_goodbye_that_fails_does_not_keep_the_connection_alive(mosquitto, monkeypatch):
    async def fail(*_args, **_options):
        raise aiomqtt.MqttError("no goodbye")

    async with connected(mosquitto.port, "leaving", status_topic="leaving/status"):
        monkeypatch.setattr(aiomqtt.Client, "publish", fail)
    # connected() waits for the end of the task


async def test_t13_agent_is_subscribed_again_within_two_keepalives(mosquitto):
    async with Line(mosquitto.port) as line:
        async with connected(line.port, "deaf", keepalive_s=KEEPALIVE_S) as agent:
            line.silence()
            silenced = time.monotonic()
            await until(lambda: agent.connects == 2, "the next connection", 2 * KEEPALIVE_S)
            async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
                await client.publish("news", b"heard again", 1)
            await until(lambda: b"heard again" in agent.heard, "the news", 2 * KEEPALIVE_S)
            assert time.monotonic() - silenced <= 2 * KEEPALIVE_S


async def test_t13_what_is_published_meanwhile_waits_for_the_next_connection(mosquitto):
    async with Line(mosquitto.port) as line:
        async with connected(line.port, "mute", keepalive_s=KEEPALIVE_S) as agent:
            line.silence()
            await until(lambda: not agent.connected.is_set(), "the loss", 2 * KEEPALIVE_S)
            await agent.publish("news", b"after all")
            await until(lambda: b"after all" in agent.heard, "what had waited", 2 * KEEPALIVE_S)


async def test_t15_second_agent_says_that_another_is_online(mosquitto, tmp_path):
    policies = write_policy(tmp_path / "policies", "cat", "see: a cat\nthen: [log]\n")
    first = running_agent(policies, port=mosquitto.port, embedded=False, client_id="first")
    second = running_agent(policies, port=mosquitto.port, embedded=False, client_id="second")
    async with first as one:
        async with listening(mosquitto.port) as heard, second as two:
            await heard.until(lambda: two.counters["other_agents"] == 1, "the second one's word")
            await heard.until(lambda: one.counters["other_agents"] == 1, "the first one's word")
        async with listening(mosquitto.port) as heard:
            status = lambda: [json.loads(p) for t, p, _ in heard.messages if t == STATUS_TOPIC]
            there = {"state": "online", "client": "first"}
            await heard.until(lambda: status()[-1:] == [there], "that the first one is still there")
    async with running_agent(
        policies, port=mosquitto.port, embedded=False, client_id="third"
    ) as third:
        async with listening(mosquitto.port) as heard:
            online = lambda: any(t == STATUS_TOPIC and b"third" in p for t, p, _ in heard.messages)
            await heard.until(online, "its own status")
            assert third.counters["other_agents"] == 0, "who has stopped is no other agent"


async def test_a_greeting_that_fails_is_tried_at_the_next_connection(mosquitto):
    greeted = []

    async def greet():
        greeted.append(True)
        if len(greeted) == 1:
            raise LinkError("news: the broker went away in the middle of it")

    async with connected(mosquitto.port, "agent", on_connect=greet) as connection:
        await until(lambda: len(greeted) == 2, "a second greeting", 10)
        await until(connection.connected.is_set, "the connection", 10)


@pytest.mark.parametrize("turns", range(6))
async def test_a_wish_to_end_that_meets_an_answer_of_the_broker_is_heard(
    mosquitto, monkeypatch, turns
):
    """So many turns of the loop after PUBACK: one of them wakes who waits for it."""
    loop = asyncio.get_running_loop()
    on_publish = aiomqtt.Client._on_publish

    def wish(turns: int) -> None:
        if turns:
            loop.call_soon(wish, turns - 1)
        else:
            task.cancel()

    def answered(client, *rest) -> None:
        on_publish(client, *rest)
        wish(turns)

    async def tell(topic, payload, retain) -> None:
        await line.publish("told", payload)

    monkeypatch.setattr(aiomqtt.Client, "_on_publish", answered)
    url = BrokerUrl("127.0.0.1", mosquitto.port, tls=False)
    line = Connection(url, client_id="ends", subscriptions=[("news", 1)], on_message=tell)
    task = asyncio.create_task(line.run())
    await line.connected.wait()
    monkeypatch.setattr(aiomqtt.Client, "_on_publish", on_publish)
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as other:
        await other.publish("news", b"now", 1)
        await asyncio.wait({task}, timeout=5)
    assert task.cancelled(), "it would live on for ever"

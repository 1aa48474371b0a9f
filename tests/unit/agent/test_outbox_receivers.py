"""Webhook receivers that misbehave for a long time: what comes of each alert, and of the memory."""

import asyncio
import contextlib
import json
from dataclasses import replace

import pytest
from moteye.actions import outbox as outbox_module
from moteye.actions.addresses import AddressRules
from moteye.actions.outbox import MOST_ATTEMPTS
from moteye.actions.runner import ActionRunner
from moteye.actions.settings import ActionSettings, WebhookSettings
from moteye.actions.webhook import Webhook
from moteye.errors import StoreError
from support.outbox import Agent, Receiver, at_work
from support.web import web_server
from unit.agent.test_outbox import DECISION, rows

TEN_MINUTES_MS = 600_000


async def nobody(*_args, **_options):
    raise AssertionError("nothing but the webhook is asked")


def runner(port: int) -> ActionRunner:
    settings = ActionSettings.model_validate({"webhook": {"allow": [f"127.0.0.1:{port}"]}})
    return ActionRunner(nobody, nobody, settings)


def alerts(count: int, port: int, rest: str = "") -> list[dict]:
    text = f"  - webhook: {{url: 'http://127.0.0.1:{port}/'{rest}}}\n"
    found = []
    for number in range(count):
        decision = replace(DECISION, id=f"{number:08x}", time_ms=5000 + number)
        found += rows(text, decision)
    return found


def states(agent: Agent) -> list[str]:
    return [row["state"] for row in agent.acts.values()]


async def test_a_receiver_that_answers_500_for_ten_minutes_gets_each_alert_once_it_recovers():
    agent, began_ms = Agent(), 1_000_000
    taken, refused = [], []
    clock: list[int] = []

    async def answer(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        key = head.split("idempotency-key: ")[1].split("\r\n")[0]
        away = clock[0] < began_ms + TEN_MINUTES_MS
        (refused if away else taken).append(key)
        word = "500 No" if away else "204 Yes"
        writer.write(f"HTTP/1.1 {word}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with at_work(runner(port), agent) as (outbox, until, time_ms):
        clock = time_ms
        outbox.add(alerts(3, port))
        await until(lambda: states(agent).count("done") == 3)
        await until(lambda: outbox._open["p", "cam"] == {})  # nothing of it stays in memory
    server.close()
    assert sorted(taken) == ["00000000", "00000001", "00000002"], "each once"
    assert 3 * 4 <= len(refused) <= 3 * 12, "with pauses that grow"
    assert agent.released == []


async def test_a_receiver_that_hangs_is_left_each_time_and_given_up_in_the_end():
    agent, asked = Agent(), []

    async def hang(reader, writer):
        asked.append(1)
        with contextlib.suppress(OSError):
            await reader.read()  # until the other side has enough of it
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with at_work(runner(port), agent) as (outbox, until, _):
        outbox.add(alerts(1, port, ", timeout: 50ms"))
        await until(lambda: agent.released)
    server.close()
    (row,) = agent.acts.values()
    assert (row["state"], row["attempts"]) == ("dead", MOST_ATTEMPTS)
    assert "no answer in 0.05 s" in row["error"]
    assert 0 < len(asked) <= MOST_ATTEMPTS


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_t57_a_redirect_to_link_local_is_given_up_at_once(status):
    agent = Agent()
    place = "location: http://169.254.169.254/latest/meta-data\r\n"
    async with web_server(status, headers=place) as (port, requests):
        async with at_work(runner(port), agent) as (outbox, until, _):
            outbox.add(alerts(1, port))
            await until(lambda: agent.released)
        assert len(requests) == 1
    (row,) = agent.acts.values()
    assert (row["state"], row["attempts"]) == ("dead", 1)
    assert "redirects are not followed" in row["error"]


async def test_t57_a_name_that_changes_to_a_forbidden_address_between_attempts_is_given_up():
    agent, asked = Agent(), []

    async def changing(host, port):
        asked.append(host)
        return ["127.0.0.1"] if len(asked) < 3 else ["169.254.169.254"]

    async with web_server(500) as (port, requests):
        at = runner(port)
        at.webhook = Webhook(WebhookSettings(), rules=AddressRules([f"127.0.0.1:{port}"], changing))
        async with at_work(at, agent) as (outbox, until, _):
            outbox.add(rows(f"  - webhook: http://hook.example:{port}/\n"))
            await until(lambda: agent.released)
        assert len(requests) == 2
    (row,) = agent.acts.values()
    assert (row["state"], row["attempts"]) == ("dead", 3)
    assert "169.254.169.254" in row["error"]


async def test_beyond_its_room_alerts_wait_in_the_store_and_none_is_lost(monkeypatch):
    monkeypatch.setattr(outbox_module, "MOST_OPEN", 20)
    monkeypatch.setattr(outbox_module, "LOOK_AGAIN_S", 0.01)
    receiver, agent, most = Receiver(webhook=200), Agent(), 0
    failing = [StoreError("disk is gone")] * 2
    read = agent.waiting

    async def waiting():
        if failing:
            raise failing.pop()
        return await read()

    agent.waiting = waiting
    waits = alerts(300, 1)
    await agent.delivered(waits, at_once=True)  # the judge's transaction
    async with at_work(receiver, agent) as (outbox, until, _):

        def done():
            nonlocal most
            most = max(most, sum(map(len, outbox._open.values())))
            return states(agent).count("done") == 300

        for at in range(0, 300, 10):
            outbox.add([dict(row) for row in waits[at : at + 10]])
        await until(done)
    assert most == 20
    assert outbox.counters["left_in_store"] >= 280
    delivered = [key for _, key in receiver.calls][200:]
    assert sorted(delivered) == sorted({json.loads(row["alert"])["id"] for row in waits})
    assert receiver.fail["webhook"] == 0

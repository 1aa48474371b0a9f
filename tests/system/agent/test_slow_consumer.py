"""T14: a receiver that takes nothing holds up nobody: memory flat, events and alerts intact."""

import asyncio
import contextlib
import gc
import tracemalloc

import aiomqtt
from moteye.actions.settings import ActionSettings
from moteye.store import Store
from support.live import ScriptedDevice, cat_and_coffee, running_agent, until, write_policy

POLICY = """
see: a cat
cooldown: 0s
then:
  - webhook: {url: 'http://127.0.0.1:PORT/hook'}
"""
MESSAGES = 1500  # half a minute of 50 a second, told as fast as they are taken
WARM = 500
EPISODE = 50  # frames of the cat, then as many of the coffee
AT_ONCE = 50
GROWTH_BYTES = 2_000_000


class Sink:
    """Accepts every webhook, and answers none until it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.asked = 0
        self.delivered: list[str] = []

    async def __aenter__(self) -> "Sink":
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_) -> None:
        self._server.close()

    async def _answer(self, reader, writer) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            self.asked += 1
            await self.opened.wait()
            key = head.split("idempotency-key: ")[1].split("\r\n")[0]
            writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
            await writer.drain()
            self.delivered.append(key)
        writer.close()


async def test_t14_blocked_webhook_holds_up_neither_events_nor_memory(mosquitto, tmp_path):
    cat, coffee = cat_and_coffee()
    store = f"sqlite:///{tmp_path}/moteye.db"
    async with Sink() as sink:
        policies = write_policy(
            tmp_path / "policies", "cat", POLICY.replace("PORT", str(sink.port))
        )
        actions = ActionSettings.model_validate({"webhook": {"allow": [f"127.0.0.1:{sink.port}"]}})
        async with (
            running_agent(
                policies, port=mosquitto.port, embedded=False, store=store, actions=actions
            ) as agent,
            aiomqtt.Client("127.0.0.1", mosquitto.port, max_inflight_messages=AT_ONCE) as client,
        ):
            script = ScriptedDevice(client, agent, "cam", session=1)
            await script.say(script.birth(), retain=True)
            tracemalloc.start()
            for first in range(0, MESSAGES, AT_ONCE):
                seen = coffee if first // EPISODE % 2 else cat
                batch = [script.say(script.embedding(seen)) for _ in range(AT_ONCE)]
                await asyncio.gather(*batch)
                if first == WARM:
                    warm = held()
            last = script.number
            presence = agent.devices.all["cam"].presence
            await until(lambda: presence.window.newest == last, "the last message")
            await until(lambda: agent.judge.waiting == 0, "an empty inbox")
            grown = held() - warm
            tracemalloc.stop()
            assert sink.asked > 0
            assert sink.delivered == []
            sink.opened.set()
            await until(lambda: len(sink.delivered) >= 5, "the alerts that waited")
        dropped = agent.judge.counters["inbox.dropped"]
    assert grown < GROWTH_BYTES
    kept = Store(store)
    recorded = sum(event.kind == "e" for event in kept.events())
    fired = [decision.id for decision in kept.decisions() if decision.fired]
    kept.close()
    assert recorded + dropped == MESSAGES
    assert dropped == 0, "changes are events, and are held back instead"
    assert len(fired) >= 5


def held() -> int:
    """Bytes that Python holds."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]

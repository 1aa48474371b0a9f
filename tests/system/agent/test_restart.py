"""The agent stops, is killed, and comes back: nothing fires twice, nothing is lost."""

from contextlib import AsyncExitStack
from itertools import permutations

import aiomqtt
import pytest
from moteye.core.compile import compile_policies
from moteye.history import Replay
from moteye.policies import load
from moteye.store import Store
from moteye.text.space import load_space
from support.kill9 import kill_again_and_again
from support.live import (
    ScriptedDevice,
    cat_and_coffee,
    listening,
    running_agent,
    write_policy,
)

THINGS = 20


@pytest.fixture
def views():
    return cat_and_coffee()


@pytest.fixture
def policies(tmp_path):
    text = "see: {words}\ncertainty: p >= 0.3\ncooldown: 0s\nthen: [log]\n"
    write_policy(tmp_path / "policies", "cup", text.replace("{words}", "a cup of coffee"))
    text = text.replace("{words}", "a cup") + "new: true\n"
    return write_policy(tmp_path / "policies", "new-cup", text)


def replayed(record: Store, folder) -> list[str]:
    """The recording through a fresh engine: must be byte for byte what the live runs decided."""
    space = load_space()
    compiled = compile_policies(
        load(folder),
        space.phrase_vectors,
        space.background,
        space.logistic,
        encoder_hash=space.encoder_hash,
        number=1,
        dim=64,
    )
    replay = Replay(compiled, space.encoder_hash)
    return [decision.json() for decision in replay.feed(record.events())]


async def caught_up(agent, script, heard):
    device = lambda: agent.devices.all.get(script.id)
    await heard.until(
        lambda: device() and script.number in device().presence.window.numbers(), "the last frame"
    )
    await heard.until(lambda: agent.judge.waiting == 0, "the inbox")


class House:
    """Twenty cameras with a thing in view, a broker, an agent, each of which can be restarted."""

    def __init__(self, heard, mosquitto, policies, store: str) -> None:
        self.heard, self.mosquitto, self.policies, self.store = heard, mosquitto, policies, store
        self.devices: list[ScriptedDevice] = []
        self._agent_stack, self._client_stack = AsyncExitStack(), AsyncExitStack()

    async def begin(self) -> None:
        await self._start_agent()
        client = await self._client()
        names = [f"cam{number}" for number in range(THINGS)]
        self.devices = [ScriptedDevice(client, self.agent, name, session=1) for name in names]

    async def end(self) -> None:
        await self._client_stack.aclose()
        await self._agent_stack.aclose()

    async def restart(self, what: str) -> None:
        if what == "agent":
            await self._agent_stack.aclose()
            await self._start_agent()
        elif what == "broker":
            line = self.agent.connection.connected
            await self._client_stack.aclose()
            await self.mosquitto.stop()
            await self.heard.until(lambda: not line.is_set(), "the agent to notice")
            await self.mosquitto.start()
            await self.heard.until(line.is_set, "the agent to be back")
            client = await self._client()
            for script in self.devices:
                script.client = client
                await script.say(script.birth(), retain=True)
        else:
            for script in self.devices:
                script.session, script.number = script.session + 1, 0
                await script.say(script.birth(), retain=True)

    async def show(self, view, frames: int) -> None:
        """Every camera sees it, and all of it is judged."""
        for script in self.devices:
            for _ in range(frames):
                await script.say(script.embedding(view))
        for script in self.devices:
            await caught_up(self.agent, script, self.heard)

    async def _start_agent(self) -> None:
        line = running_agent(
            self.policies, port=self.mosquitto.port, embedded=False, store=self.store
        )
        self.agent = await self._agent_stack.enter_async_context(line)

    async def _client(self) -> aiomqtt.Client:
        client = aiomqtt.Client("127.0.0.1", self.mosquitto.port)
        return await self._client_stack.enter_async_context(client)


async def test_t39_restarts_in_every_order_with_things_in_view_alert_nobody(
    policies, store_url, views, mosquitto
):
    cat, coffee = views
    async with listening(mosquitto.port) as heard:
        house = House(heard, mosquitto, policies, store_url)
        await house.begin()
        for script in house.devices:
            await script.say(script.birth(), retain=True)
        await house.show(cat, 3)
        await house.show(coffee, 3)
        await heard.until(lambda: len(heard.alerts) >= 2 * THINGS, "two alerts each")
        await heard.until(lambda: house.agent.outbox.waiting == 0, "the outbox")
        for order in permutations(("agent", "broker", "device")):
            for what in order:
                await house.restart(what)
                await house.show(coffee, 2)
        await house.end()
    decided = Store(store_url).decisions()
    assert sum(decision.fired for decision in decided) == len(heard.alerts) == 2 * THINGS
    assert replayed(Store(store_url), policies) == [decision.json() for decision in decided]


async def test_what_comes_while_the_agent_is_away_is_judged_when_it_is_back(
    policies, store_url, views, mosquitto
):
    cat, coffee = views
    store, port = store_url, mosquitto.port
    async with listening(port) as heard, aiomqtt.Client("127.0.0.1", port) as client:
        async with running_agent(policies, port=port, embedded=False, store=store) as agent:
            script = ScriptedDevice(client, agent, "cam", session=1)
            await script.say(script.birth(), retain=True)
            for _ in range(3):
                await script.say(script.embedding(cat))
            await caught_up(agent, script, heard)
        for _ in range(3):
            await script.say(script.embedding(coffee))
        async with running_agent(policies, port=port, embedded=False, store=store) as agent:
            await heard.until(lambda: heard.alerts, "the alert of what came meanwhile")
            await caught_up(agent, script, heard)
    assert [alert["policy"] for alert in heard.alerts] == ["cup"]
    record = Store(store)
    frames = [e.frame for e in record.events() if e.kind == "e"]
    assert frames == list(range(1, 7)), "every frame once"
    known = [d for d in record.decisions(policy="new-cup") if not d.fired]
    assert [d.reason for d in known] == ["known: it was there when watching began"]


@pytest.mark.timeout(500)  # it has deadlines of its own
@pytest.mark.parametrize("seed", [9])
async def test_t53_killed_again_and_again_no_event_is_acted_on_twice(
    store_url, tmp_path, mosquitto, seed
):
    """The seeded short form; `make bench-host` does it 200 times."""
    done = await kill_again_and_again(
        tmp_path, port=mosquitto.port, store=store_url, kills=6, seed=seed
    )
    print(done)
    assert (done.lost, done.doubled, done.hidden) == (0, 0, 0), done.problems
    assert done.frames > done.kills
    assert done.alerts > 0

"""Policies change while the agent runs: all or nothing, seen from outside, and replayed."""

import asyncio
import contextlib
import itertools
import json

import aiomqtt
import pytest
from moteye import policies
from moteye.agent import Agent
from moteye.config import load_settings
from moteye.errors import SpaceError
from moteye.history import Replay
from moteye.store import Store
from moteye.text.space import load_space
from moteye.topics import AGENT_TOPIC
from support.live import ScriptedDevice, listening, running_agent, write_policy

TEXT = "see: {}\ncertainty: p >= 0.5\ncooldown: 0s\nthen: [log]\n"


class CutOff:
    """Awaits a coroutine up to its n-th suspension and drops it there, as a kill would."""

    def __init__(self, coroutine, number: int) -> None:
        self.coroutine, self.number = coroutine, number

    def __await__(self):
        steps = self.coroutine.__await__()
        for number in itertools.count():
            try:
                future = next(steps)
            except StopIteration:
                return True
            if number == self.number:
                steps.close()
                return False
            yield future


async def test_t41_a_reload_that_is_cut_off_at_any_await_leaves_old_or_new(tmp_path, store_url):
    for name, words in (("a", "a cat"), ("b", "a dog")):
        folder = write_policy(tmp_path / "old", name, TEXT.format(words))
    for name, words in (("a", "a cat"), ("c", "a cup"), ("d", "a car")):
        other = write_policy(tmp_path / "new", name, TEXT.format(words))
    old, new = policies.load(folder), policies.load(other)
    counts = set()
    for number in itertools.count():
        agent = Agent(load_settings(policies=folder, store=store_url, broker="mqtt://127.0.0.1:1"))
        await agent.load_space()
        await agent.load_policies(old)
        await agent.ledger.open()
        finished = await CutOff(agent.load_policies(new), number)
        assert agent.judge.compiled is not None
        assert agent.judge.compiled.policies == agent.engine.policies, "words and scores agree"
        names = [item.policy.name for item in agent.engine.policies]
        assert names in ([p.name for p in old], [p.name for p in new]), number
        counts.add(len(names))
        with contextlib.suppress(RuntimeError):
            await agent.ledger.close()
        if finished:
            break
    assert number >= 2, "it does wait for things"
    assert counts == {2, 3}


async def test_t41_a_reload_that_fails_keeps_the_old_policies_and_shows_it(
    tmp_path, store_url, mosquitto, monkeypatch
):
    folder = write_policy(tmp_path / "policies", "cat", TEXT.format("a cat"))
    topic = f"{AGENT_TOPIC}/policies"

    async with (
        listening(mosquitto.port) as heard,
        running_agent(folder, port=mosquitto.port, embedded=False, store=store_url) as agent,
    ):
        states = lambda: [json.loads(p) for t, p, _ in heard.messages if t == topic]
        await heard.until(states, "the state at the start")
        assert states()[-1] == {"state": "ok", "in_force": ["cat"], "problems": ""}

        def fails(*args, **kwargs):
            raise SpaceError("the set is too large")

        with monkeypatch.context() as patch:
            patch.setattr(agent.space, "compile", fails)
            write_policy(folder, "dog", TEXT.format("a dog"))
            await heard.until(lambda: states()[-1]["state"] == "refused", "the refusal")
        assert states()[-1]["in_force"] == ["cat"]
        assert "too large" in states()[-1]["problems"]
        write_policy(folder, "dog", "see: a dog\nthn: [log]\n")
        await heard.until(lambda: "did you mean then" in states()[-1]["problems"], "the mistake")
        assert [item.policy.name for item in agent.engine.policies] == ["cat"]
        write_policy(folder, "dog", TEXT.format("a dog"))
        await heard.until(lambda: states()[-1]["state"] == "ok", "the new policies")
        assert states()[-1]["in_force"] == ["cat", "dog"]


@pytest.fixture(scope="module")
def space():
    return load_space()


async def test_a_day_with_reloads_and_restarts_replays_byte_for_byte(
    tmp_path, store_url, mosquitto, space
):
    """The recording leads to the decisions on record: changed policies, restarts, new sessions."""
    folder = write_policy(tmp_path / "policies", "cup", TEXT.format("a cup"))
    write_policy(folder, "new-cup", TEXT.format("a cup") + "new: true\n")
    versions = {}

    def remember(agent):
        versions[agent.engine.in_force] = agent.judge.compiled

    bank = space.background.embeddings
    found = space.compile(policies.load(folder), number=1, dim=64)
    margins = found.scorer.margins_q8(bank)[:, 0]
    none, cup = bank[int(margins.argmin())], bank[int(margins.argmax())]
    async with (
        listening(mosquitto.port) as heard,
        aiomqtt.Client("127.0.0.1", mosquitto.port) as client,
    ):
        scripts: list[ScriptedDevice] = []
        sent = 0

        async def look(agent, *views):
            nonlocal sent
            for script in scripts:
                for view in views:
                    await script.say(script.embedding(view))
                    sent += 1
            recorded = lambda: sum(e.is_embedding for e in Store(store_url).events())
            async with asyncio.timeout(60):
                while await asyncio.to_thread(recorded) < sent:  # noqa: ASYNC110  another process
                    await asyncio.sleep(0.05)

        for run in range(3):
            live = running_agent(folder, port=mosquitto.port, embedded=False, store=store_url)
            async with live as agent:
                remember(agent)
                if not scripts:
                    scripts = [ScriptedDevice(client, agent, f"cam{n}", 1) for n in range(3)]
                await look(agent, none, none, cup, cup, cup)
                before = agent.engine.in_force
                hold = f"for: {run + 1}s\n"
                write_policy(folder, "cup", TEXT.format("a cup") + hold)
                await heard.until(lambda: agent.engine.in_force != before, "the reload")  # noqa: B023
                remember(agent)
                await look(agent, none, none, cup, none, cup, cup, cup, none)
    record = Store(store_url)
    decided = [decision.json() for decision in record.decisions()]
    replay = Replay(found, space.encoder_hash, versions)
    assert [decision.json() for decision in replay.feed(record.events())] == decided
    assert len(versions) == 4
    assert sum('"fired": true' in text for text in decided) > 3
    unaware = Replay(found, space.encoder_hash)
    assert [d.json() for d in unaware.feed(record.events())] != decided, "the reloads mattered"

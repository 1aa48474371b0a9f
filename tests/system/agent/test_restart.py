"""The agent stops, is killed, and comes back: nothing fires twice, nothing is lost."""

import aiomqtt
import pytest
from moteye.core.compile import compile_policies
from moteye.history import Replay
from moteye.policies import load
from moteye.resources import model_dir
from moteye.store import Store
from moteye.text.space import load_space
from support.kill9 import kill_again_and_again
from support.live import (
    ScriptedDevice,
    listening,
    running_agent,
    skimage_photo,
    write_policy,
)

THINGS = 20


@pytest.fixture(scope="module")
def views():
    from moteye.imaging import ImageEncoder, load_rgb

    encoder = ImageEncoder(model_dir("fast") / "encoder.tflite")
    names = ("chelsea.png", "coffee.png")
    return [encoder.encode(load_rgb(skimage_photo(name))) for name in names]


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


async def test_t39_restarts_of_agent_and_device_with_things_in_view_alert_nobody(
    policies, store_url, views, mosquitto
):
    cat, coffee = views
    store, port = store_url, mosquitto.port
    async with listening(port) as heard, aiomqtt.Client("127.0.0.1", port) as client:
        devices: list[ScriptedDevice] = []
        for run, order in enumerate(["agent", "agent device", "device agent", "agent"]):
            async with running_agent(policies, port=port, embedded=False, store=store) as agent:
                if not devices:
                    names = [f"cam{number}" for number in range(THINGS)]
                    devices = [ScriptedDevice(client, agent, name, session=1) for name in names]
                for script in devices:
                    if run == 0 or "device" in order:
                        script.session += 1
                        script.number = 0
                        await script.say(script.birth(), retain=True)
                    if run == 0:
                        for _ in range(3):
                            await script.say(script.embedding(cat))
                    for _ in range(3):
                        await script.say(script.embedding(coffee))
                for script in devices:
                    await caught_up(agent, script, heard)
                if run == 0:
                    await heard.until(lambda: len(heard.alerts) >= 2 * THINGS, "two alerts each")
                    await heard.until(lambda: agent.outbox.waiting == 0, "the outbox")
                    fired = len(heard.alerts)
        assert len(heard.alerts) == fired
    decided = Store(store).decisions()
    assert replayed(Store(store), policies) == [decision.json() for decision in decided]
    assert sum(decision.fired for decision in decided) == fired


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

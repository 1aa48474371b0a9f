"""Rollout and rollback over a real broker: one writer, waves, a way back, state that lasts."""

import asyncio
import contextlib
import json
import time

import aiomqtt
import pytest
from moteye.fleet_commands import COMMAND_TOPIC, REPLY_TOPIC, AgentLine
from moteye_protocol.codec import pack
from support.command import MOTEYE
from support.live import device, listening, running_agent, scene, until, write_policy

LOG = "see: {}\nthen: [log]\n"
CAMERAS = 4


async def prototypes(port, *words, store):
    """`moteye prototypes …` as a process of its own: (exit code, what it printed)."""
    process = await asyncio.create_subprocess_exec(
        *MOTEYE, "prototypes", *words,
        "--broker", f"mqtt://127.0.0.1:{port}", "--store", store,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=None,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode()


@contextlib.asynccontextmanager
async def cameras(port, tmp_path, count=CAMERAS):
    """Real devices that look at a cat."""
    async with contextlib.AsyncExitStack() as stack:
        for number in range(count):
            folder = tmp_path / f"cam{number}"
            folder.mkdir(exist_ok=True)
            camera = scene(folder, ("skimage:chelsea", 600))
            options = {"device_id": f"cam{number}", "settings": {"heartbeat_ms": 500}}
            await stack.enter_async_context(device(port, camera, folder, **options))
        yield


def used(agent):
    return [row["version"] for row in agent.fleet.status()["devices"] if row["current"]]


@pytest.mark.timeout(240)
async def test_rollout_in_waves_rollback_and_a_restart_between(mosquitto, tmp_path):
    port, store = mosquitto.port, f"sqlite:///{tmp_path / 'state' / 'moteye.db'}"
    folder = write_policy(tmp_path / "policies", "cat", LOG.format("a cat"))
    running = {"port": port, "embedded": False, "store": store}
    async with cameras(port, tmp_path):
        async with running_agent(folder, rollout="50%,100%", **running) as agent:
            await until(lambda: len(used(agent)) == CAMERAS, "the first set on all")
            first = agent.fleet.archive.current.version
            write_policy(folder, "dog", LOG.format("a dog"))
            await until(lambda: agent.fleet.archive.current.version != first, "a second set")
            await until(lambda: len(used(agent)) == CAMERAS // 2, "the first wave")
            code, out = await prototypes(port, "status", store=store)
            assert code == 0, out
            assert "rollout running, wave 1 of 2" in out
            code, out = await prototypes(port, "stop", store=store)
            assert (code, "stopped by hand" in out) == (0, True)
        # the agent ends; another one knows how far it was
        async with running_agent(folder, rollout="50%,100%", **running) as agent:
            await until(lambda: len(used(agent)) == CAMERAS // 2, "the devices to be known")
            assert agent.fleet.rollout.state == "stopped"
            words = ("rollout", "--groups", "50%,100%", "--watch-s", "0")
            code, out = await prototypes(port, *words, store=store)
            assert code == 0, out
            await until(lambda: agent.fleet.rollout.state == "done", "the rollout's end")
            assert len(used(agent)) == CAMERAS
            second = agent.fleet.archive.current.version
            code, out = await prototypes(port, "rollback", "--to", first, store=store)
            assert code == 0, out
            await until(lambda: agent.fleet.rollout.state == "done", "the rollback's end")
            third = agent.fleet.archive.current.version
            assert third not in (first, second)
            assert used(agent) == [third] * CAMERAS
            assert agent.fleet.archive.pinned
            write_policy(folder, "horse", LOG.format("a horse"))
            await until(lambda: agent.judge.policy("horse") is not None, "the third policy")
            assert agent.fleet.archive.current.version == third, "a rollback holds"
            assert agent.counters["detections.unequal"] == 0
            code, out = await prototypes(port, "history", store=store)
            versions = (first, second, third)
            assert all(version in out for version in versions)
            code, out = await prototypes(port, "rollback", "--to", "99-nothing", store=store)
            assert (code, "is not in the history" in out) == (1, True)


@pytest.mark.timeout(120)
async def test_command_does_it_itself_where_no_agent_runs(mosquitto, tmp_path):
    port, store = mosquitto.port, f"sqlite:///{tmp_path / 'state' / 'moteye.db'}"
    phrases = tmp_path / "phrases.txt"
    phrases.write_text("a cat\na dog\n")
    file = tmp_path / "words.meps"
    words = ("prototypes", "build", "--phrases", str(phrases), "-o", str(file))
    build = await asyncio.create_subprocess_exec(*MOTEYE, *words)
    assert await build.wait() == 0
    async with cameras(port, tmp_path, 2), listening(port) as heard:
        await heard.until(
            lambda: all(heard.of(f"cam{n}", "birth") for n in range(2)), "both devices"
        )
        words = ("rollout", str(file), "--groups", "50%,100%", "--watch-s", "0")
        code, out = await prototypes(port, *words, store=store)
        assert code == 0, out
        assert "rollout done" in out
        assert out.count("✓") == 2
        code, out = await prototypes(port, "status", store=store)
        assert (code, out.count("✓")) == (0, 2)


@pytest.mark.timeout(120)
async def test_t29_agent_with_keys_obeys_its_owner_only(mosquitto, tmp_path):
    from moteye.errors import FleetError
    from moteye.keys import FleetKeys
    from moteye.link.connection import BrokerUrl, Connection

    keys = FleetKeys.new()
    keys.save(tmp_path / "keys.json", new=True)
    folder = write_policy(tmp_path / "policies", "cat", LOG.format("a cat"))
    settings = {"port": mosquitto.port, "embedded": False, "keys": tmp_path / "keys.json"}
    async with running_agent(folder, **settings):
        for key, refused in ((None, True), (bytes(32), True), (keys.signing_key("_agent"), False)):
            line = AgentLine(key)

            async def receive(topic, payload, retain, line=line):
                line.receive(topic, payload)

            connection = Connection(
                BrokerUrl("127.0.0.1", mosquitto.port, tls=False),
                client_id="asker",
                subscriptions=list(line.subscriptions),
                on_message=receive,
            )
            task = asyncio.create_task(connection.run())
            await connection.connected.wait()
            if refused:
                with pytest.raises(FleetError, match="not signed"):
                    await line.ask(connection, "history", {})
            else:
                found = await line.ask(connection, "history", {})
                assert len(json.dumps(found["sets"])) > 2
                with pytest.raises(FleetError, match="no rollout"):
                    await line.ask(connection, "resume", {})
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.mark.timeout(120)
async def test_t06_a_command_asked_again_after_a_restart_gets_its_first_answer(mosquitto, tmp_path):
    store = f"sqlite:///{tmp_path / 'state' / 'moteye.db'}"
    running = {"port": mosquitto.port, "embedded": False, "store": store}
    folder = write_policy(tmp_path / "policies", "cat", LOG.format("a cat"))
    command = {"v": 1, "tid": "again", "op": "rollback", "args": {}}

    async def ask(heard):
        before = len(heard.messages)
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
            await client.publish(COMMAND_TOPIC, pack(command), 1)
        answers = lambda: [p for topic, p, _ in heard.messages[before:] if topic == REPLY_TOPIC]
        await heard.until(lambda: answers(), "an answer")
        return answers()[0]

    async with listening(mosquitto.port) as heard:
        async with running_agent(folder, **running) as agent:
            first = agent.fleet.archive.current.version
            write_policy(folder, "dog", LOG.format("a dog"))
            await until(lambda: agent.fleet.archive.current.version != first, "a second set")
            command["issued"] = time.time_ns() // 1_000_000
            said = await ask(heard)
            assert json.loads(said)["result"]["current"]["origin"] == f"rollback to {first}"
            assert len(agent.fleet.archive.entries) == 3
        async with running_agent(folder, **running) as agent:
            assert await ask(heard) == said
            assert len(agent.fleet.archive.entries) == 3, "it is done once"

"""Two agents on one broker that divide the devices between them."""

import re

import aiomqtt
import pytest
from moteye.config import load_settings
from moteye.doctor.fleet import Fleet
from support.live import device, listening, running_agent, scene, until, write_policy
from system.agent.test_fleet import prototypes

POLICY = "see: {phrase}\ncameras: {cameras}\nthen: [log]\n"


async def examined(port, tmp_path, client_id):
    """What `moteye doctor` says of the devices, with the configuration of one of the agents."""
    settings = load_settings(
        policies=tmp_path / client_id,
        store=f"sqlite:///{tmp_path / client_id / 'moteye.db'}",
        client_id=client_id,
    )
    async with aiomqtt.Client("127.0.0.1", port) as client:
        found = [str(finding) async for finding in Fleet(client, None, settings).listen()]
    print("\n".join(found))
    return "\n".join(found)


def policies(folder, phrase, cameras):
    return write_policy(folder, "one", POLICY.format(phrase=phrase, cameras=cameras))


def begun(heard, camera):
    """The sets that somebody began to bring to a device."""
    commands = heard.of(camera, "command")
    return [command.args["sha256"][:8].hex() for command in commands if command.op == "set.begin"]


def sets(agent):
    return {entry.hash for entry in agent.fleet.archive.entries}


def left(agent):
    return {row["device"]: row["left"] for row in agent.fleet.status()["devices"] if row["left"]}


def uses(agent, camera):
    used = agent.devices.all[camera].set_hash if camera in agent.devices.all else None
    return used.hex() if used else None


@pytest.mark.timeout(240)
async def test_t15_two_agents_bring_sets_to_their_own_devices_only(mosquitto, tmp_path):
    port = mosquitto.port

    def agent(name):
        store = f"sqlite:///{tmp_path / name / 'moteye.db'}"
        return running_agent(
            tmp_path / name, port=port, embedded=False, store=store, client_id=name
        )

    def camera(name):
        (tmp_path / f"of-{name}").mkdir()
        looks_at = scene(tmp_path / f"of-{name}", ("skimage:chelsea", 600))
        options = {"device_id": name, "settings": {"heartbeat_ms": 500}}
        return device(port, looks_at, tmp_path / f"of-{name}", **options)

    async def frames(heard, name, count=3):
        so_far = len(heard.of(name, "embedding"))
        await heard.until(lambda: len(heard.of(name, "embedding")) >= so_far + count, "frames")

    def is_current(one, name):
        current = one.fleet.archive.current
        return current is not None and uses(one, name) == current.hash

    policies(tmp_path / "inside", "a cat", "hall-*")
    group = "groups: {garden: {cameras: [yard, shed]}}\n"
    write_policy(
        tmp_path / "outside", "one", group + POLICY.format(phrase="a dog", cameras="garden")
    )
    async with listening(port) as heard, camera("hall-1"), camera("yard"):
        async with agent("inside") as inside, agent("outside") as outside:
            await until(lambda: is_current(inside, "hall-1"), "the cat in the hall")
            await until(lambda: is_current(outside, "yard"), "the dog in the yard")
            assert left(inside) == {"yard": "no policy watches it"}
            assert left(outside) == {"hall-1": "no policy watches it"}
            assert [view.id for view in inside._house.cameras()] == ["hall-1"]
            assert inside.counters["other_agents"] == outside.counters["other_agents"] == 0
            for one, own, other in (("inside", "hall-1", "yard"), ("outside", "yard", "hall-1")):
                told = await examined(port, tmp_path, one)
                assert re.search(f"ok +device {own}: .* its set is right", told), told
                assert f"device {other}: left alone (no policy watches it" in told
            # other words for one half of the house change nothing in the other
            before = uses(outside, "yard")
            policies(tmp_path / "inside", "a horse", "hall-*")
            await until(lambda: len(sets(inside)) == 2, "the horse's set")
            await until(lambda: is_current(inside, "hall-1"), "the horse in the hall")
            # who is not watched any more keeps what it has
            policies(tmp_path / "inside", "a fox", "cellar")
            await until(lambda: len(sets(inside)) == 3, "the fox's set")
            await frames(heard, "hall-1")
            assert left(inside) == dict.fromkeys(("hall-1", "yard"), "no policy watches it")
            horse = uses(inside, "hall-1")
            assert uses(outside, "yard") == before
        # nor does an agent that comes up anew bring back its own
        async with agent("inside") as inside:
            await until(lambda: inside.devices.all.get("hall-1") is not None, "the hall")
            await frames(heard, "hall-1")
            await frames(heard, "yard")
            assert (uses(inside, "hall-1"), uses(inside, "yard")) == (horse, before)
            config = tmp_path / "moteye.yaml"
            config.write_text(f"client_id: inside\npolicies: {tmp_path / 'inside'}\n")
            store = f"sqlite:///{tmp_path / 'inside' / 'moteye.db'}"
            code, out = await prototypes(port, "status", "--config", str(config), store=store)
            assert (code, out.count("left alone ")) == (0, 2), out
            assert "left alone, with the set that it has: no policy watches it" in out
            # another agent may take it over
            policies(tmp_path / "outside", "a dog", "[hall-1, yard]")
            async with agent("outside") as outside:
                await until(lambda: is_current(outside, "hall-1"), "the dog in the hall")
                assert inside.counters["other_agents"] == outside.counters["other_agents"] == 0
        assert set(begun(heard, "yard")) <= sets(outside)
        assert sets(inside).isdisjoint(begun(heard, "yard"))

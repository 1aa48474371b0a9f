"""The examples for Home Assistant, in its own core: they are valid, and answers count."""

import shutil
from pathlib import Path

import aiomqtt
import pytest
from moteye.store import Store
from moteye_protocol import models
from support.live import ScriptedDevice, cat_and_coffee, running_agent, until, write_policy
from system.home_assistant.conftest import running_home_assistant

EXAMPLES = Path(__file__).parents[3] / "examples" / "home-assistant"
POLICY = "see: a cat\ncertainty: p >= 0.3\ncooldown: 0s\nthen: [log]\n"
CAPTION = "a tabby cat looks up from a blanket"


def house(folder: Path) -> Path:
    blueprints = folder / "blueprints" / "automation" / "moteye"
    blueprints.mkdir(parents=True)
    shutil.copy(EXAMPLES / "blueprint.yaml", blueprints / "alert.yaml")
    shutil.copy(EXAMPLES / "configuration.yaml", folder)
    return folder


@pytest.mark.timeout(400)
async def test_the_examples_are_valid_notify_once_and_an_answer_counts(
    mosquitto, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    policies = write_policy(tmp_path / "policies", "cat", POLICY)
    store, port = f"sqlite:///{tmp_path}/moteye.db", mosquitto.port
    cat, coffee = cat_and_coffee()
    settings = {"store": store, "home_assistant": True}
    async with (
        running_home_assistant(house(tmp_path / "ha"), port) as home,
        running_agent(policies, port=port, embedded=False, **settings) as agent,
        aiomqtt.Client("127.0.0.1", port) as client,
    ):
        assert await home.ask("check") == []
        script = ScriptedDevice(client, agent, "hall", session=1)
        await script.say(script.birth(), retain=True)
        await script.say(models.Status(s=1, state="online"), retain=True)
        states = await home.until(
            lambda s: s["moteye_hall_alert"]["state"] == "unknown", "the camera to be there"
        )
        assert states["moteye_hall_alert"]["entity_id"] == "event.moteye_hall_alert"
        await script.look(agent, coffee, coffee, coffee, cat, cat, cat)
        states = await home.until(
            lambda s: s["moteye_hall_last_alert"]["attributes"].get("policy") == "cat", "the alert"
        )
        last = states["moteye_hall_last_alert"]["attributes"]
        assert last["caption"] == "", "nothing said in words yet"
        words = {"frame": last["frame"], "at": 1, "text": CAPTION, "tokens": [4, 9]}
        words |= {"logp": -3500, "model": b"captions", "why": "change"}
        await script.say(models.Caption(**script.envelope(), **words))
        await home.until(
            lambda s: s["moteye_hall_last_alert"]["attributes"]["caption"] == CAPTION, "the caption"
        )
        (note,) = await home.notes(1)
        assert note["title"] == "a cat"
        buttons = {one["title"]: one["action"] for one in note["data"]["actions"]}
        pressed = {"action": buttons["It is known"]}
        await home.ask("fire", event="mobile_app_notification_action", data=pressed)
        await until(lambda: agent.engine.marks.all, "the answer")
        (mark,) = agent.engine.marks.all.values()
        assert (mark.verdict, mark.decision) == ("known", last["id"])
        named = {"entity_id": states["moteye_hall_name"]["entity_id"], "value": 'Minka "M" II'}
        assert "error" in await home.ask(
            "call", service="text.set_value", data={**named, "value": ""}
        )
        named["value"] = "Minka"
        assert await home.ask("call", service="text.set_value", data=named) == "done"
        await until(lambda: len(agent.engine.marks.all) == 2, "the name")
        await script.look(agent, coffee, coffee, coffee, cat, cat, cat)
        count = [s for s in (await home.ask("states")).values() if "alerts_in" in s["entity_id"]]
        assert [one["state"] for one in count] == ["1"]
        await home.notes(1)
        assert await home.ask("log") == []
    reasons = [decision.reason for decision in Store(store).decisions() if not decision.fired]
    assert any(reason.startswith("marked known") for reason in reasons), reasons

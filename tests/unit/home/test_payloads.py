"""What Home Assistant is told: ids that stay, states that fit."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from moteye.home.payloads import (
    AgentView,
    CameraView,
    Topics,
    agent_config,
    camera_config,
    camera_states,
    short_text,
)

TOPICS = Topics("moteye/v1/_agent", "homeassistant")
AGENT = AgentView("moteye-agent", "1.0", 1, 0, {"cat": True, "new-plant": False})
CAMERA = CameraView(
    "windowsill", "0.1", True, 7, "1-815fa2e1", "2-00112233", False, None, "confirmed",
    {"cat": True, "new-plant": False},
)  # fmt: skip
GOLDEN = Path(__file__).with_name("unique_ids.json")


def unique_ids(*messages: dict) -> list[str]:
    return sorted(part["unique_id"] for message in messages for part in message["cmps"].values())


def test_t47_unique_ids_are_those_of_the_golden_file():
    found = unique_ids(camera_config(CAMERA, AGENT, TOPICS), agent_config(AGENT, TOPICS))
    assert found == json.loads(GOLDEN.read_text()), "entities of every house would double"


def test_t47_firmware_set_and_phrases_are_no_part_of_an_id():
    other = replace(CAMERA, firmware="9", installed="0", latest="8-99999999", session=1)
    before = unique_ids(camera_config(CAMERA, AGENT, TOPICS))
    assert unique_ids(camera_config(other, replace(AGENT, version="2"), TOPICS)) == before


def test_t51_no_entitys_name_repeats_the_devices():
    for message in (camera_config(CAMERA, AGENT, TOPICS), agent_config(AGENT, TOPICS)):
        device = message["dev"]["name"].lower()
        for part in message["cmps"].values():
            assert not part["name"].lower().startswith((device, "moteye"))
            assert "object_id" not in part


def test_every_entity_depends_on_the_agent_and_its_camera():
    message = camera_config(CAMERA, AGENT, TOPICS)
    assert message["availability_mode"] == "all"
    topics = [entry["topic"] for entry in message["availability"]]
    assert topics == ["moteye/v1/_agent/status", "moteye/v1/_agent/home/windowsill/availability"]
    assert {"dev", "o"} <= set(message)
    assert message["o"]["name"] == "moteye"


@pytest.mark.parametrize(
    ("swapping", "progress", "shown"), [(False, 40, None), (True, None, None), (True, 40, 40)]
)
def test_t52_progress_is_what_the_device_says_and_only_known_keys_are_sent(
    swapping, progress, shown
):
    states = camera_states(replace(CAMERA, swapping=swapping, progress=progress), TOPICS)
    update = json.loads(states["moteye/v1/_agent/home/windowsill/update"])
    assert set(update) == {
        "installed_version",
        "latest_version",
        "in_progress",
        "update_percentage",
    }
    assert (update["in_progress"], update["update_percentage"]) == (swapping, shown)
    assert list(states)[-1].endswith("availability"), "the availability comes last (T49)"


def test_t67_a_camera_of_many_policies_needs_no_more_topics():
    many = replace(CAMERA, present={f"policy-{n}": False for n in range(100)})
    assert len(camera_states(many, TOPICS)) == len(camera_states(CAMERA, TOPICS)) == 3
    retained = len(json.dumps(camera_config(many, AGENT, TOPICS)))
    retained += sum(map(len, camera_states(many, TOPICS).values()))
    assert retained < 32 * 1024


FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
WAVE = "\U0001f44b\U0001f3fd"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x" * 255, "x" * 255),
        ("x" * 256, "x" * 254 + "…"),
        ("x" * 300, "x" * 254 + "…"),
        ("猫" * 300, "猫" * 254 + "…"),
        ("x" * 253 + WAVE * 3, "x" * 253 + "…"),
        ("x" * 250 + FAMILY * 2, "x" * 250 + "…"),
        ("x" * 253 + "e\u0301" * 5, "x" * 253 + "…"),
        ("a\x00b\nc", "a b c"),
    ],
)
def test_t50_a_state_is_cut_between_letters_with_a_mark(text, shown):
    assert short_text(text) == shown
    assert len(shown) <= 255

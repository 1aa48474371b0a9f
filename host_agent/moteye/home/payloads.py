"""Discovery messages and states, in Home Assistant's device form (2024.11 or later).

One retained message a camera and one for the agent. A unique id is the device's id and a fixed key,
or the name of a policy's file: neither a display name nor the words of a policy are part of one, so
that entities stay the same when those change (T47).
"""

import json
import unicodedata
from dataclasses import dataclass, field
from typing import Any

STATE_CHARS = 255  # the longest state that Home Assistant takes (T50)
NAME_CHARS = 64  # the longest name that feedback takes
EVENT_TYPES = ("seen", "upgraded", "escalated", "ended", "digest")
PICTURE = "last_picture"
_JOINERS = ("\u200d", "\ufe0f", "\ufe0e")


@dataclass(frozen=True)
class CameraView:
    """What is told of a camera; `progress` in percent, None where it is not known.

    `frames`: whether its owner lets pictures leave it.
    """

    id: str
    firmware: str
    online: bool
    session: int
    installed: str
    latest: str | None
    swapping: bool
    progress: int | None
    swap_state: str
    present: dict[str, bool] = field(default_factory=dict)  # by policy that watches it
    frames: bool = False


@dataclass(frozen=True)
class AgentView:
    """What is told of the agent; `policies` by name, whether each is switched on."""

    id: str
    version: str
    cameras_online: int
    actions_waiting: int
    policies: dict[str, bool] = field(default_factory=dict)

    @property
    def branch(self) -> str:
        """What stands for a camera's id in the agent's own topics; no such id begins with _."""
        return f"_{self.id}"


@dataclass(frozen=True)
class Topics:
    """Where things are said. `root` is the agent's branch, `prefix` Home Assistant's."""

    root: str
    prefix: str

    def config(self, object_id: str) -> str:
        """The discovery message of one device."""
        return f"{self.prefix}/device/{object_id}/config"

    def camera(self, config: str) -> str:
        """The id of the camera whose discovery message is on `config`."""
        return config.split("/")[-2].removeprefix("moteye_")

    def of(self, device: str, what: str) -> str:
        """`state`, `update`, `alert`, `last`, `picture`, `availability` or `cmd` of one device."""
        return f"{self.root}/home/{device}/{what}"

    @property
    def agent_status(self) -> str:
        """Online or not, with the will."""
        return f"{self.root}/status"


def camera_config(view: CameraView, agent: AgentView, topics: Topics) -> dict[str, Any]:
    """The discovery message of a camera."""
    uid = f"moteye_{view.id}"
    state, last = topics.of(view.id, "state"), topics.of(view.id, "last")
    cmps: dict[str, Any] = {
        "alert": {
            "p": "event",
            "name": "Alert",
            "unique_id": f"{uid}_alert",
            "state_topic": topics.of(view.id, "alert"),
            "event_types": list(EVENT_TYPES),
            "icon": "mdi:eye",
        },
        "last_alert": {
            "p": "sensor",
            "name": "Last alert",
            "unique_id": f"{uid}_last_alert",
            "device_class": "timestamp",
            "state_topic": last,
            "value_template": "{{ value_json.time }}",
            "json_attributes_topic": last,
        },
        "last_phrase": {
            "p": "sensor",
            "name": "Last seen",
            "unique_id": f"{uid}_last_phrase",
            "state_topic": last,
            "value_template": "{{ value_json.shown }}",
            "icon": "mdi:text-short",
        },
        "set": {
            "p": "update",
            "name": "Prototype set",
            "unique_id": f"{uid}_set",
            "state_topic": topics.of(view.id, "update"),
            "command_topic": topics.of(view.id, "cmd"),
            "payload_install": json.dumps({"op": "install"}),
            "entity_category": "config",
        },
        "swap_state": _diagnostic(uid, "swap_state", "Swap", state),
        "session": _diagnostic(uid, "session", "Session", state),
    }
    if view.frames:
        cmps[PICTURE] = {
            "p": "image",
            "name": "Last alert's picture",
            "unique_id": f"{uid}_{PICTURE}",
            "image_topic": topics.of(view.id, "picture"),
            "content_type": "image/png",
        }
    for said, name in (("known", "Last alert was known"), ("wrong", "Last alert was wrong")):
        cmps[said] = {
            "p": "button",
            "name": name,
            "unique_id": f"{uid}_{said}",
            "command_topic": topics.of(view.id, "cmd"),
            "payload_press": json.dumps({"op": "feedback", "said": said}),
            "icon": "mdi:check" if said == "known" else "mdi:close",
        }
    cmps["name"] = {
        "p": "text",
        "name": "Name what was seen last",
        "unique_id": f"{uid}_name",
        "command_topic": topics.of(view.id, "cmd"),
        "command_template": '{"op": "feedback", "said": {{ value | tojson }}}',
        "min": 1,
        "max": NAME_CHARS,
        "icon": "mdi:tag-outline",
    }
    for policy in sorted(view.present):
        cmps[f"present_{policy}"] = {
            "p": "binary_sensor",
            "name": f"Sees {policy}",
            "unique_id": f"{uid}_present_{policy}",
            "device_class": "occupancy",
            "state_topic": state,
            "value_template": f"{{{{ value_json.present['{policy}'] }}}}",
        }
    device = {
        "ids": [uid],
        "name": f"moteye {view.id}",
        "mf": "moteye",
        "mdl": "camera",
        "via_device": f"moteye_agent_{agent.id}",
    }
    if view.firmware:
        device["sw"] = view.firmware
    own = {"topic": topics.of(view.id, "availability")}
    return _message(device, agent, cmps, [_agent_is_there(topics), own])


def agent_config(view: AgentView, topics: Topics) -> dict[str, Any]:
    """The discovery message of the agent itself."""
    uid, state = f"moteye_agent_{view.id}", topics.of(view.branch, "state")
    cmps = {
        "cameras_online": _diagnostic(uid, "cameras_online", "Cameras online", state),
        "actions_waiting": _diagnostic(uid, "actions_waiting", "Actions waiting", state),
    }
    cmps["revert"] = {
        "p": "button",
        "name": "Revert prototype set",
        "unique_id": f"{uid}_revert",
        "command_topic": topics.of(view.branch, "cmd"),
        "payload_press": json.dumps({"op": "revert"}),
        "entity_category": "config",
        "icon": "mdi:undo",
    }
    for policy in sorted(view.policies):
        cmps[f"policy_{policy}"] = {
            "p": "switch",
            "name": f"Policy {policy}",
            "unique_id": f"{uid}_policy_{policy}",
            "state_topic": state,
            "value_template": f"{{{{ value_json.policies['{policy}'] }}}}",
            "command_topic": topics.of(view.branch, "cmd"),
            "payload_on": json.dumps({"op": "on", "policy": policy}),
            "payload_off": json.dumps({"op": "off", "policy": policy}),
            "state_on": "ON",
            "state_off": "OFF",
            "icon": "mdi:file-eye",
        }
    device = {"ids": [uid], "name": f"moteye {view.id}", "mf": "moteye", "mdl": "agent"}
    return _message({**device, "sw": view.version}, view, cmps, [_agent_is_there(topics)])


def camera_states(view: CameraView, topics: Topics) -> dict[str, str]:
    """Retained states of a camera, by topic, the availability last (T49)."""
    present = {name: "ON" if there else "OFF" for name, there in sorted(view.present.items())}
    state = {"swap_state": view.swap_state, "session": view.session, "present": present}
    update: dict[str, Any] = {
        "installed_version": view.installed,
        "in_progress": view.swapping,
        "update_percentage": view.progress if view.swapping else None,
    }
    if view.latest:
        update["latest_version"] = view.latest
    return {
        topics.of(view.id, "state"): json.dumps(state),
        topics.of(view.id, "update"): json.dumps(update),
        topics.of(view.id, "availability"): "online" if view.online else "offline",
    }


def agent_states(view: AgentView, topics: Topics) -> dict[str, str]:
    """Retained state of the agent, by topic."""
    policies = {name: "ON" if on else "OFF" for name, on in sorted(view.policies.items())}
    state = {
        "cameras_online": view.cameras_online,
        "actions_waiting": view.actions_waiting,
        "policies": policies,
    }
    return {topics.of(view.branch, "state"): json.dumps(state)}


def event_of(alert: dict[str, Any]) -> str:
    """An alert as the event entity takes it: the kind of event and the alert's attributes."""
    return json.dumps({"event_type": alert["event"], **_attributes(alert)}, ensure_ascii=False)


def last_of(alert: dict[str, Any], caption: str = "") -> str:
    """An alert as the retained sensors take it, with what the camera last said in words."""
    shown = {"shown": short_text(str(alert["phrase"])), **_attributes(alert)}
    shown["caption"] = short_text(caption or str(alert.get("caption", "")))
    return json.dumps(shown, ensure_ascii=False)


def short_text(text: str, limit: int = STATE_CHARS) -> str:
    """At most `limit` characters, cut between letters as people see them, with a mark.

    NUL and other control characters become spaces.
    """
    clean = "".join(" " if unicodedata.category(letter) == "Cc" else letter for letter in text)
    if len(clean) <= limit:
        return clean
    end = limit - 1
    while end and (_continues(clean[end]) or clean[end - 1] == "\u200d"):
        end -= 1
    return clean[:end] + "…"


def _continues(letter: str) -> bool:
    """Whether a character belongs to the one before it."""
    skin = "\U0001f3fb" <= letter <= "\U0001f3ff"
    return letter in _JOINERS or skin or unicodedata.combining(letter) != 0


def _attributes(alert: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in alert.items() if name not in ("event", "alerts", "key")}


def _diagnostic(uid: str, key: str, name: str, state_topic: str) -> dict[str, Any]:
    return {
        "p": "sensor",
        "name": name,
        "unique_id": f"{uid}_{key}",
        "state_topic": state_topic,
        "value_template": f"{{{{ value_json.{key} }}}}",
        "entity_category": "diagnostic",
    }


def _agent_is_there(topics: Topics) -> dict[str, str]:
    word = "{{ 'online' if value_json.state == 'online' else 'offline' }}"
    return {"topic": topics.agent_status, "value_template": word}


def _message(
    device: dict[str, Any],
    agent: AgentView,
    cmps: dict[str, Any],
    availability: list[dict[str, str]],
) -> dict[str, Any]:
    return {
        "dev": device,
        "o": {"name": "moteye", "sw": agent.version},
        "cmps": cmps,
        "availability": availability,
        "availability_mode": "all",
        "qos": 1,
    }

"""What counts beyond one camera: cooldowns of a site or a group, MQTT states, other policies."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from moteye.core.language import Group, MqttState, Policy, PolicyState
from moteye.core.language.places import fits
from moteye.core.layout import CompiledPolicy
from moteye.core.track import Track

Key = tuple[str, str]
SITE = "*"  # keys beside those of devices, whose ids have no such letters


def group_key(group: Group) -> str:
    """Where a group's last alert is kept."""
    return f"@{group.name}"


@dataclass
class Standing:
    """States that `while` asks for. None of it is known before it is told."""

    facts: dict[str, str] = field(default_factory=dict)
    _watched: set[str] = field(default_factory=set)
    _topics: set[str] = field(default_factory=set)
    _present: dict[str, set[Key]] = field(default_factory=dict)

    def begin(self, policies: Iterable[CompiledPolicy], tracks: dict[Key, Track]) -> None:
        """Policies and tracks are others now."""
        every = list(policies)
        hours = [item.policy.hours for item in every if item.policy.hours is not None]
        self._topics = {state.topic for one in hours for state in one.mqtt}
        self._watched = {state.name for one in hours for state in one.policy}
        names = {item.fingerprint: item.policy.name for item in every}
        self.facts = {topic: text for topic, text in self.facts.items() if topic in self._topics}
        self._present = {name: set() for name in self._watched}
        for key, track in tracks.items():
            if track.present and names.get(key[0]) in self._watched:
                self._present[names[key[0]]].add(key)

    @property
    def topics(self) -> set[str]:
        """The topics whose messages count."""
        return set(self._topics)

    def episode(self, policy: str, key: Key, *, present: bool) -> None:
        """An episode of a policy has begun or ended."""
        if policy in self._watched:
            (self._present[policy].add if present else self._present[policy].discard)(key)

    def closed(self, policy: Policy, device: str) -> str:
        """Why a policy may not alert because of other states; empty when it may."""
        hours = policy.hours
        if hours is None:
            return ""
        for state in hours.mqtt:
            closed = self._mqtt_closed(state)
            if closed:
                return closed
        for other in hours.policy:
            closed = self._policy_closed(other, device)
            if closed:
                return closed
        return ""

    def _mqtt_closed(self, state: MqttState) -> str:
        text = self.facts.get(state.topic)
        value = None if text is None else _value(text, state.field)
        if value is None:
            return f"{state.topic} is unknown" if state.unknown == "closed" else ""
        if value in state.is_:
            return ""
        return f"{state.topic} is {value[:40]!r}, not {' or '.join(state.is_)}"

    def _policy_closed(self, state: PolicyState, device: str) -> str:
        there = {
            key[1]
            for key in self._present.get(state.name, ())
            if state.camera == "any" or key[1] == device
        }
        if bool(there) == (state.is_ == "present"):
            return ""
        where = f" on {', '.join(sorted(there))}" if there else ""
        return f"{state.name} is {'present' if there else 'absent'}{where}"


def _value(text: str, path: str) -> str | None:
    """The text, or the entry at a dotted path of its JSON; None where there is no such entry."""
    if not path:
        return text.strip()
    try:
        node = json.loads(text)
        for step in path.split("."):
            node = node[step]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if isinstance(node, bool):
        return "true" if node else "false"
    return node if isinstance(node, str) else json.dumps(node)


@dataclass(frozen=True)
class Shared:
    """The alerts of others that hold one back: of the site, and of groups with their window."""

    site_ms: int | None = None
    groups: tuple[tuple[str, float, int], ...] = ()


def shared_keys(policy: Policy, device: str) -> list[str]:
    """Where an alert of `device` is noted beside its own track."""
    keys = [SITE] if "site" in policy.cooldown.per else []
    return keys + [
        group_key(group) for group in policy.groups if group.merge_s and fits(device, group.cameras)
    ]


def shared_of(compiled: CompiledPolicy, device: str, tracks: dict[Key, Track]) -> Shared:
    """What others of the policy have alerted."""
    site_ms, groups = None, []
    for key in shared_keys(compiled.policy, device):
        track = tracks.get((compiled.common, key))
        if track is None or track.fired_ms is None:
            continue
        if key == SITE:
            site_ms = track.fired_ms
        else:
            group = next(g for g in compiled.policy.groups if group_key(g) == key)
            groups.append((group.name, group.merge_s, track.fired_ms))
    return Shared(site_ms, tuple(groups))

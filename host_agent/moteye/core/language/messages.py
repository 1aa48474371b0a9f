"""pydantic's complaints in the words of the language, each with its line and column."""

import re
from typing import Any

from pydantic import BaseModel, ValidationError

from moteye.core.language.actions import ACTIONS
from moteye.core.language.caption import Says
from moteye.core.language.conditions import Hours, MqttState, PolicyState
from moteye.core.language.new import New
from moteye.core.language.places import Definitions, Group, Zone
from moteye.core.language.policy import Policy, See
from moteye.core.language.rules import Change, Cooldown, Escalation, Upgrade
from moteye.core.language.source import Source
from moteye.core.language.values import closest
from moteye.errors import Problem

# A complaint about the whole may name the key that it is about: `gone@does not go with new`.
_ABOUT = re.compile(r"([a-z]+)@")
_TAGS = ("see-list", "see-map", "new-flag", "new-map", "group", "pattern")


def problems_of(source: Source, error: ValidationError) -> list[Problem]:
    """All that pydantic found wrong with what `source` says."""
    return [_problem(source, found) for found in error.errors()]


def _problem(source: Source, found: Any) -> Problem:
    unknown = found["type"] == "extra_forbidden"
    location = tuple(part for part in found["loc"] if part not in _TAGS)
    place = source.place(location, at_key=unknown)
    key = str(location[-1]) if location else ""
    if unknown:
        known = _keys_at(found["loc"])
        hint = closest(key, known, "known here: " + ", ".join(known))
        return place.problem(f"unknown key {key!r}", hint)
    if found["type"] == "missing":
        return place.problem(f"{key!r} is missing", _MISSING_HINT.get(key, ""))
    reason, _, hint = found["msg"].removeprefix("Value error, ").partition("|")
    about = _ABOUT.match(reason)
    if about:
        place = source.place((*location, about[1]), at_key=True)
        return place.problem(reason[about.end() :], hint)
    kind, limits = found["type"], found.get("ctx", {})
    if (key, kind) in _PLAIN_WORDS or kind in _PLAIN_WORDS:
        reason, hint = _PLAIN_WORDS.get((key, kind)) or _PLAIN_WORDS[kind]
    elif kind == "literal_error":
        reason, hint = f"{found['input']!r} is not known here", f"one of {limits['expected']}"
    elif kind in ("greater_than", "less_than"):
        word, limit = ("above", limits["gt"]) if "gt" in limits else ("below", limits["lt"])
        reason, hint = f"{found['input']} is out of range", f"{word} {limit:g}"
    elif kind in ("greater_than_equal", "less_than_equal"):
        word, limit = ("least", limits.get("ge")) if "ge" in limits else ("most", limits["le"])
        reason, hint = f"{found['input']} is out of range", f"at {word} {limit}"
    written = [str(part) for n, part in enumerate(location) if location[: n + 1] in source.places]
    named = f"{written[-1]}: " if written and not written[-1].isdigit() else ""
    return place.problem(named + reason, hint)


# pydantic's error types in the words of this language: (reason, suggestion).
_PLAIN_WORDS: dict[str | tuple[str, str], tuple[str, str]] = {
    ("url", "string_pattern_mismatch"): ("not a web address", "https://host/path"),
    ("topic", "string_pattern_mismatch"): ("not one topic", "without + and #"),
    ("service", "string_pattern_mismatch"): ("not a service", "domain.service, light.turn_on"),
    ("event", "string_pattern_mismatch"): ("not an event's name", "letters, digits and _"),
    ("name", "string_pattern_mismatch"): (
        "not a name",
        "lower-case letters, digits, - and _, for example new-plant",
    ),
    ("then", "list_type"): ("a list of actions is wanted", "then: [log]"),
    ("finally", "list_type"): ("a list of actions is wanted", "finally: [log]"),
    ("else", "list_type"): ("a list of actions is wanted", "else: [log]"),
    "list_type": ("a list is wanted", "for example [a, b]"),
    "dict_type": ("a map is wanted", "for example {name: value}"),
    "model_type": ("a map is wanted", "for example {key: value}"),
    "int_type": ("not a whole number", "without quotes and point"),
    "too_short": ("empty", "put at least one in it, or leave the key out"),
    "string_too_short": ("empty", "put a text in it"),
    "bool_type": ("neither true nor false", "write true or false"),
    "string_type": ("not a text", "put it in quotes"),
}


_MISSING_HINT = {
    "then": "say what to do: then: [log]",
    "topic": "mqtt: home/alerts",
    "url": "webhook: https://…",
    "dir": "save: alerts",
    "says": "caption: {says: somebody at the door}",
    "to": "notify: phone, a target of the agent's configuration",
    "run": "command: ring, a program of the agent's configuration",
    "is": "is: armed, or a list",
    "name": "the name of a policy",
    "polygon": "polygon: [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]",
    "cameras": "cameras: [door, porch-*]",
    "for": "cooldown: {for: 10m, per: class}",
    "after": "escalate: {after: 5m, then: [log]}",
    "certainty": "upgrade: {certainty: sure, severity: critical}",
}


_MODELS: dict[str, type[BaseModel]] = {
    **ACTIONS,
    "see-map": See,
    "new-map": New,
    "caption": Says,
    "changes": Change,
    "in": Zone,
    "zones": Zone,
    "groups": Group,
    "cooldown": Cooldown,
    "upgrade": Upgrade,
    "escalate": Escalation,
    "while": Hours,
}


def _keys_at(location: tuple[Any, ...]) -> list[str]:
    """The keys that are known where `location` ends."""
    model: type[BaseModel] = Definitions if location[0] in ("groups", "zones") else Policy
    for index, part in enumerate(location[:-1]):
        if model is Hours and part in ("mqtt", "policy"):
            model = MqttState if part == "mqtt" else PolicyState
        elif isinstance(part, str) and (part != "policy" or index):
            model = _MODELS.get(part, model)
    return [field.alias or name for name, field in model.model_fields.items() if name != "kind"]

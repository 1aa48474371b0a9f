"""Write `policy.schema.json`, which editors use to complete and check policies."""

import json
import sys
from pathlib import Path
from typing import Any

from moteye.core.language import ACTIONS, DAYS, Policy
from moteye.core.language.places import Group, Zone

TARGET = Path(__file__).parent / "policy.schema.json"
_DURATION = {
    "type": "string",
    "pattern": "^(([0-9]+(\\.[0-9]+)?(ms|[smhd]))+|.*\\$\\{.*)$",
    "examples": ["500ms", "10s", "1m30s", "2h"],
}
# A text that is nothing but a variable may stand for anything.
_VARIABLE = {"type": "string", "pattern": "^\\$\\{[A-Za-z_][A-Za-z0-9_-]*\\}$"}
_PHRASES = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 64}
_WORDS: dict[str, Any] = {"anyOf": [{"type": "string"}, _PHRASES]}
_CERTAINTY = {
    "anyOf": [
        {"enum": ["likely", "sure"]},
        {"type": "string", "pattern": "^p\\s*(>=|≥)\\s*0?\\.[0-9]+$"},
    ],
}
_SEVERITY = {"enum": ["info", "warning", "critical"]}
_LOG = {"enum": ["log", "capture"]}


def schema() -> dict[str, Any]:
    """The JSON Schema of a file: one policy, several, or definitions for others."""
    full = Policy.model_json_schema(by_alias=True, mode="validation")
    actions = _list_of({"anyOf": [_LOG, *map(_short_form, _actions(full["$defs"]))]})
    policy = {
        "title": "Policy",
        "description": full["description"],
        "type": "object",
        "properties": _properties(full["properties"]),
        "required": ["then"],
        "anyOf": [{"required": [key]} for key in ("see", "caption", "changes")],
        "additionalProperties": False,
    }
    names = _definitions()
    one = {**policy, "properties": {**policy["properties"], **names}}
    several = {
        "type": "object",
        "properties": {
            "policies": {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {"$ref": "#/$defs/policy"},
            },
            **names,
        },
        "required": ["policies"],
        "additionalProperties": False,
    }
    only = {
        "type": "object",
        "properties": names,
        "minProperties": 1,
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "moteye policies",
        "if": {"required": ["policies"]},
        "then": several,
        "else": {
            "if": {"anyOf": [{"required": [key]} for key in ("see", "caption", "changes", "then")]},
            "then": one,
            "else": only,
        },
        "$defs": {"policy": policy, "actions": actions},
    }


def _properties(fields: dict[str, Any]) -> dict[str, Any]:
    """The keys of a policy, in the short forms that the loader takes."""
    several = {
        "type": "object",
        "description": "one of any or what is like the pictures, every one of all, none of not",
        "properties": dict.fromkeys(("any", "all", "not", "like", "unlike"), _WORDS),
        "anyOf": [{"required": [key]} for key in ("any", "all", "like")],
        "additionalProperties": False,
    }
    actions = {"$ref": "#/$defs/actions"}
    properties = {
        "name": {"type": "string", "pattern": fields["name"]["pattern"]},
        "description": {"type": "string"},
        "see": {"anyOf": [*_WORDS["anyOf"], several]},
        "caption": _caption(),
        "changes": _changes(),
        "in": {"anyOf": [_WORDS["anyOf"][0], _zone(), _list_of({"anyOf": [_TEXT, _zone()]})]},
        "count": {"type": "string", "pattern": "^(>=|<=|==|≥|≤|=|>|<)\\s*[0-9]{1,2}$"},
        "new": _new(),
        "instant": {"type": "boolean", "default": False},
        "certainty": {"default": "likely", **_CERTAINTY},
        "for": _DURATION,
        "gone": _DURATION,
        "linger": _DURATION,
        "cooldown": _cooldown(),
        "cameras": {"anyOf": [_TEXT, _list_of(_TEXT)]},
        "while": _while(),
        "defer": {"enum": [True, False, "digest", "each"]},
        "severity": {"default": "warning", **_SEVERITY},
        "upgrade": _map({"certainty": _CERTAINTY, "severity": _SEVERITY}, ["certainty"]),
        "mode": {"enum": ["single", "restart", "queued", "parallel"], "default": "queued"},
        "escalate": _map(
            {"after": _DURATION, "every": _DURATION, "most": _whole(1, 100), "then": actions},
            ["after", "then"],
        ),
        "then": actions,
        "finally": actions,
        "else": actions,
    }
    missing = {name for name in fields if name not in properties}
    if missing:
        raise SystemExit(f"the schema lacks these keys of a policy: {sorted(missing)}")
    return {
        name: {"title": name.title(), "anyOf": [part, _VARIABLE]}
        for name, part in properties.items()
    }


_TEXT = {"type": "string"}


def _map(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


def _whole(least: int, most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


def _changes() -> dict[str, Any]:
    times = {"of": {"const": "embedding"}, "over": _DURATION, "times": _whole(2, 100)}
    share = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    words = {"of": {"const": "caption"}, "alike": share}
    return {"anyOf": [{"enum": ["embedding", "caption"]}, _map(times, []), _map(words, ["of"])]}


def _caption() -> dict[str, Any]:
    part: dict[str, Any] = dict.fromkeys(("says", "not", "unlike"), _WORDS)
    return {"anyOf": [*_WORDS["anyOf"], _map({**part, "within": _DURATION}, ["says"])]}


def _cooldown() -> dict[str, Any]:
    word = {"enum": ["camera", "class", "site"]}
    per = {"anyOf": [word, _list_of(word)]}
    return {"anyOf": [_DURATION, _map({"for": _DURATION, "per": per}, ["for"])]}


def _zone() -> dict[str, Any]:
    corner = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    part = {
        "cameras": {"anyOf": [_TEXT, _list_of(_TEXT)]},
        "polygon": {"type": "array", "items": corner, "minItems": 3, "maxItems": 64},
        "inertia": _whole(1, 100),
        "dwell": _DURATION,
    }
    known = {field.alias or name for name, field in Zone.model_fields.items()} - {"name"}
    if known != set(part):
        raise SystemExit(f"the schema's zones have other keys than {sorted(known)}")
    return {"title": "Zone", **_map(part, ["polygon"])}


def _definitions() -> dict[str, Any]:
    """What stands beside a policy: names for several places."""
    patterns = {"anyOf": [_TEXT, _list_of(_TEXT)]}
    group = _map({"cameras": patterns, "merge": _DURATION}, ["cameras"])
    known = {field.alias or name for name, field in Group.model_fields.items()} - {"name"}
    if known != set(group["properties"]):
        raise SystemExit(f"the schema's groups have other keys than {sorted(known)}")
    return {
        "include": {"anyOf": [_TEXT, _list_of(_TEXT)]},
        "variables": {"type": "object"},
        "groups": {
            "type": "object",
            "additionalProperties": {"anyOf": [*patterns["anyOf"], group]},
        },
        "zones": {"type": "object", "additionalProperties": _zone()},
    }


def _new() -> dict[str, Any]:
    names = {"type": "array", "items": {"type": "string"}}
    full = {
        "type": "object",
        "properties": {
            "of": {"enum": ["class", "instance"]},
            "per": {"enum": ["zone", "camera", "site"]},
            "window": {"anyOf": [{"enum": ["ever", "season", "day"]}, _DURATION]},
            "after_absence": _DURATION,
            "learn": _DURATION,
            "known": {"anyOf": [{"type": "string"}, names]},
            "zone": {"type": "string", "examples": ["Europe/Berlin"]},
        },
        "additionalProperties": False,
    }
    short = [{"type": "boolean"}, {"enum": ["class", "instance"]}]
    return {"default": False, "anyOf": [*short, full]}


def _while() -> dict[str, Any]:
    window = {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9] *- *(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$",
        "examples": ["22:00-06:00"],
    }
    name = "|".join(DAYS)
    day = {"type": "string", "pattern": f"^({name})(-({name}))?$", "examples": ["mon-fri"]}
    topic = {"type": "string", "minLength": 1, "pattern": "^[^+#]+$"}
    mqtt = _map(
        {
            "topic": topic,
            "is": {"anyOf": [_TEXT, _list_of(_TEXT)]},
            "field": _TEXT,
            "unknown": {"enum": ["open", "closed"]},
        },
        ["topic", "is"],
    )
    other = _map(
        {
            "name": _TEXT,
            "is": {"enum": ["present", "absent"]},
            "camera": {"enum": ["any", "same"]},
        },
        ["name"],
    )
    place = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    return {
        "type": "object",
        "properties": {
            "days": {"anyOf": [day, _list_of(day)]},
            "time": {"anyOf": [window, _list_of(window)]},
            "zone": {"type": "string", "examples": ["Europe/Berlin"]},
            "sun": {"enum": ["up", "down"]},
            "place": {"anyOf": [{**place, "examples": [[52.5, 13.4]]}, _VARIABLE]},
            "mqtt": {"anyOf": [mqtt, _list_of(mqtt)]},
            "policy": {"anyOf": [other, _list_of(other)]},
        },
        "additionalProperties": False,
        "dependentRequired": {"time": ["zone"], "days": ["zone"], "sun": ["place"]},
        "anyOf": [{"required": [key]} for key in ("zone", "sun", "mqtt", "policy")],
    }


def _actions(definitions: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for kind, model in ACTIONS.items():
        settings = definitions[model.__name__]
        del settings["properties"]["kind"]
        if "timeout" in settings["properties"]:
            settings["properties"]["timeout"] = _DURATION
        if kind == "notify":
            settings["properties"]["to"] = {"anyOf": [_TEXT, _list_of(_TEXT)]}
        found.append((kind, settings))
    return found


def _short_form(action: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    kind, settings = action
    short = {"notify": [_TEXT, _list_of(_TEXT)], "capture": [{"type": "null"}]}.get(kind, [_TEXT])
    return _map({kind: {"anyOf": [*short, settings]}}, [kind])


def main() -> int:
    """Write the file, or with --check say whether it is up to date."""
    text = json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
    if "--check" in sys.argv:
        if not TARGET.is_file() or TARGET.read_text() != text:
            print(f"{TARGET.name} differs from the policy language: run `make generate`")
            return 1
        return 0
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

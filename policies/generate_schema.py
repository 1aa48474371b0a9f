"""Write `policy.schema.json`, which editors use to complete and check policies."""

import json
import sys
from pathlib import Path
from typing import Any

from moteye.core.language import DAYS, Policy

_DURATION = {
    "type": "string",
    "pattern": "^([0-9]+(\\.[0-9]+)?(ms|[smhd]))+$",
    "examples": ["500ms", "10s", "1m30s", "2h"],
}
TARGET = Path(__file__).parent / "policy.schema.json"


def schema() -> dict[str, Any]:
    """The JSON Schema of one policy file, with the short forms that the loader takes."""
    full = Policy.model_json_schema(by_alias=True, mode="validation")
    properties = full["properties"]
    phrases = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 64}
    words = {"anyOf": [{"type": "string"}, phrases]}
    several = {
        "type": "object",
        "description": "one of any, every one of all, none of not",
        "properties": {"any": words, "all": words, "not": words},
        "anyOf": [{"required": ["any"]}, {"required": ["all"]}],
        "additionalProperties": False,
    }
    properties["see"] = {"title": "See", "anyOf": [*words["anyOf"], several]}
    properties["while"] = _while()
    patterns = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    properties["cameras"] = {"title": "Cameras", "anyOf": [{"type": "string"}, patterns]}
    properties["certainty"] = {
        "title": "Certainty",
        "default": "likely",
        "anyOf": [
            {"enum": ["likely", "sure"]},
            {"type": "string", "pattern": "^p\\s*(>=|≥)\\s*0?\\.[0-9]+$"},
        ],
    }
    properties["then"] = {
        "title": "Then",
        "type": "array",
        "minItems": 1,
        "items": {"anyOf": [{"enum": ["log"]}, *map(_short_form, _actions(full))]},
    }
    for key in ("for", "gone", "cooldown"):
        properties[key] = {**_DURATION, "title": key.title()}
    full.pop("$defs")
    properties["name"] = {k: v for k, v in properties["name"].items() if k != "default"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **full}


def _while() -> dict[str, Any]:
    window = {
        "type": "string",
        "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9] *- *(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$",
        "examples": ["22:00-06:00"],
    }
    name = "|".join(DAYS)
    day = {"type": "string", "pattern": f"^({name})(-({name}))?$", "examples": ["mon-fri"]}
    full = {
        "type": "object",
        "properties": {
            "days": {"anyOf": [day, {"type": "array", "items": day, "minItems": 1}]},
            "time": {"anyOf": [window, {"type": "array", "items": window, "minItems": 1}]},
            "zone": {"type": "string", "examples": ["Europe/Berlin"]},
            "sun": {"enum": ["up", "down"]},
            "place": {
                "type": "array",
                "items": {"type": "number"},
                "minItems": 2,
                "maxItems": 2,
                "examples": [[52.5, 13.4]],
            },
        },
        "additionalProperties": False,
        "dependentRequired": {"time": ["zone"], "days": ["zone"], "sun": ["place"]},
        "anyOf": [{"required": ["zone"]}, {"required": ["sun"]}],
    }
    return {"title": "While", **full}


def _actions(full: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name in ("LogAction", "MqttAction", "WebhookAction", "SaveAction"):
        settings = full["$defs"].pop(name)
        kind = settings["properties"].pop("kind")["const"]
        if "timeout" in settings["properties"]:
            settings["properties"]["timeout"] = _DURATION
        found.append((kind, settings))
    return found


def _short_form(action: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    kind, settings = action
    return {
        "type": "object",
        "properties": {kind: {"anyOf": [{"type": "string"}, settings]}},
        "required": [kind],
        "additionalProperties": False,
    }


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

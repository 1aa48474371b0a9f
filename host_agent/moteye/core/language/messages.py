"""pydantic's complaints in the words of the language, each with its line and column."""

import difflib
from typing import Any

from pydantic import BaseModel
from ruamel.yaml.comments import CommentedMap

from moteye.core.language.actions import LogAction, MqttAction, SaveAction, WebhookAction
from moteye.core.language.conditions import Hours
from moteye.core.language.policy import Policy, See
from moteye.core.language.source import position_of
from moteye.errors import Problem


def problem_of(path: str, tree: CommentedMap, found: Any) -> Problem:
    """One of pydantic's errors about `tree` as a problem of the file."""
    unknown = found["type"] == "extra_forbidden"
    location = tuple(part for part in found["loc"] if part not in ("see-list", "see-map"))
    line, column = position_of(tree, location, at_key=unknown)
    key = str(location[-1]) if location else ""
    if unknown:
        known = _keys_at(found["loc"])
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {close[0]}?" if close else "known here: " + ", ".join(known)
        return Problem(path, line, column, f"unknown key {key!r}", hint)
    if found["type"] == "missing":
        return Problem(path, line, column, f"{key!r} is missing", _MISSING_HINT.get(key, ""))
    reason, _, hint = found["msg"].removeprefix("Value error, ").partition("|")
    named = f"{key}: " if key and not key.isdigit() else ""
    if (key, found["type"]) in _PLAIN_WORDS or found["type"] in _PLAIN_WORDS:
        reason, hint = _PLAIN_WORDS.get((key, found["type"])) or _PLAIN_WORDS[found["type"]]
    return Problem(path, line, column, named + reason, hint)


# pydantic's error types in the words of this language: (reason, suggestion).
_PLAIN_WORDS: dict[str | tuple[str, str], tuple[str, str]] = {
    ("url", "string_pattern_mismatch"): ("not a web address", "https://host/path"),
    ("topic", "string_pattern_mismatch"): ("not a topic to publish on", "without + and #"),
    ("name", "string_pattern_mismatch"): (
        "not a name",
        "lower-case letters, digits, - and _, for example new-plant",
    ),
    ("sun", "literal_error"): ("neither up nor down", "write sun: up or sun: down"),
    ("then", "list_type"): ("a list of actions is wanted", "then: [log]"),
    "list_type": ("a list is wanted", "for example [a, b]"),
    "dict_type": ("a map is wanted", "for example {name: value}"),
    "too_short": ("empty", "put at least one in it, or leave the key out"),
    "bool_type": ("neither true nor false", "write true or false"),
    "string_type": ("not a text", "put it in quotes"),
}


_MISSING_HINT = {
    "see": "say what to look for: see: a potted plant",
    "then": "say what to do: then: [log]",
    "topic": "mqtt: home/alerts",
    "url": "webhook: https://…",
    "dir": "save: alerts",
}


def _keys_at(location: tuple[Any, ...]) -> list[str]:
    models: dict[str, type[BaseModel]] = {
        "log": LogAction,
        "mqtt": MqttAction,
        "webhook": WebhookAction,
        "save": SaveAction,
        "see-map": See,
        "while": Hours,
    }
    model = next((models[part] for part in location[:-1] if part in models), Policy)
    return [field.alias or name for name, field in model.model_fields.items() if name != "kind"]

"""The policy language: text of a YAML file in, a checked `Policy` or a list of problems out.

YAML 1.2 core schema (so `no` is a word), no duplicate keys, durations only as strings with a unit.
"""

import difflib
import fnmatch
import re
from io import StringIO
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from moteye.errors import PolicyErrors, Problem

_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhd]))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")
_CERTAINTY = re.compile(r"p\s*(?:>=|≥)\s*(0?\.\d+)")
MAX_PHRASES = 64
MAX_PHRASE_CHARS = 120


def duration_s(value: object) -> float:
    """Seconds of a text like 1m30s. Raises ValueError with `reason|suggestion`."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ValueError(f"a duration needs a unit|write {value}s or {value}m")
    if not isinstance(value, str) or not _DURATION.fullmatch(value.strip()):
        raise ValueError("not a duration|for example 500ms, 10s, 1m30s, 2h, 7d")
    return sum(float(number) * _UNIT_S[unit] for number, unit in _PART.findall(value))


def _certainty(value: object) -> str | float:
    if value in ("likely", "sure"):
        return str(value)
    found = _CERTAINTY.fullmatch(value.strip()) if isinstance(value, str) else None
    if found and 0 < float(found[1]) < 1:
        return float(found[1])
    close = difflib.get_close_matches(str(value), ["likely", "sure"], n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else 'likely, sure, or "p >= 0.8"'
    raise ValueError(f"not a certainty: {value!r}|{hint}")


def _phrases(value: object) -> list[str]:
    phrases = value if isinstance(value, list) else [value]
    if not phrases or len(phrases) > MAX_PHRASES:
        raise ValueError(
            f"one to {MAX_PHRASES} phrases are wanted|for example: see: a potted plant"
        )
    for phrase in phrases:
        if not isinstance(phrase, str):
            raise ValueError(f"{phrase!r} is not a phrase|words are meant: put them in quotes")
        if not phrase.strip() or len(phrase) > MAX_PHRASE_CHARS:
            raise ValueError(f"a phrase has 1 to {MAX_PHRASE_CHARS} characters|say what to see")
    return list(dict.fromkeys(" ".join(phrase.split()) for phrase in phrases))


def _see(value: object) -> object:
    """A phrase, a list of which any counts, or a map of `any`, `all` and `not`."""
    if not isinstance(value, dict):
        return _phrases(value)
    if not ("any" in value or "all" in value) and set(value) <= {"not"}:
        raise ValueError("`not` alone never begins|say in any: or all: what to see")
    return value


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _action(value: object) -> object:
    """`log` alone stands for `log: {}`; a string after the colon is the action's main setting."""
    if isinstance(value, str):
        value = {value: {}}
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("not an action|for example: - save: alerts")
    ((kind, settings),) = value.items()
    if kind not in _MAIN_SETTING:
        close = difflib.get_close_matches(str(kind), _MAIN_SETTING, n=1)
        hint = f"did you mean {close[0]}?" if close else "one of " + ", ".join(_MAIN_SETTING)
        raise ValueError(f"unknown action {kind!r}|{hint}")
    if settings is None:
        settings = {}
    if isinstance(settings, str):
        settings = {_MAIN_SETTING[kind]: settings}
    if not isinstance(settings, dict):
        raise ValueError(f"{kind} wants a map of settings|or its {_MAIN_SETTING[kind]} as text")
    return {"kind": kind, **settings}


Duration = Annotated[
    float,
    BeforeValidator(duration_s, json_schema_input_type=str),
    Field(
        ge=0,
        json_schema_extra={"pattern": "^([0-9]+(\\.[0-9]+)?(ms|[smhd]))+$", "examples": ["10s"]},
    ),
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LogAction(_Strict):
    """A line in the agent's log."""

    kind: Literal["log"] = "log"
    message: str = "{{ phrase }} on {{ camera }}, probability {{ probability }}"


class MqttAction(_Strict):
    """A message on a topic; without `payload` the alert as JSON."""

    kind: Literal["mqtt"] = "mqtt"
    topic: Annotated[str, Field(min_length=1, pattern=r"^[^+#\x00]+$")]
    payload: str | None = None
    qos: Literal[0, 1] = 1
    retain: bool = False


class WebhookAction(_Strict):
    """An HTTP POST of the alert as JSON, with an Idempotency-Key."""

    kind: Literal["webhook"] = "webhook"
    url: Annotated[str, Field(pattern=r"^https?://\S+$")]
    headers: dict[str, str] = Field(default_factory=dict)
    timeout: Duration = 5.0


class SaveAction(_Strict):
    """The picture that decided, as a file. Needs `frames: true` on the device."""

    kind: Literal["save"] = "save"
    dir: Annotated[str, Field(min_length=1)]


Action = Annotated[
    Annotated[LogAction | MqttAction | WebhookAction | SaveAction, Field(discriminator="kind")],
    BeforeValidator(_action),
]
_MAIN_SETTING = {"log": "message", "mqtt": "topic", "webhook": "url", "save": "dir"}


DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\s*-\s*(?:([01]\d|2[0-3]):([0-5]\d)|24:00)")


def _hours(value: object) -> object:
    if isinstance(value, str):
        raise ValueError("a map is wanted|while: {time: 22:00-06:00, zone: Europe/Berlin}")
    return value


def _days(value: object) -> list[str]:
    """`mon`, `mon-fri` or a list of these → days of the week in their order."""
    found: set[str] = set()
    for part in value if isinstance(value, list) else [value]:
        if not isinstance(part, str):
            raise ValueError(f"{part!r} is not a day|mon, tue, … or mon-fri")
        first, _, last = part.strip().lower().partition("-")
        for name in (first, last or first):
            if name not in DAYS:
                raise ValueError(f"{name!r} is not a day|mon, tue, … or mon-fri")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found |= {DAYS[(begin + step) % 7] for step in range((end - begin) % 7 + 1)}
    return [day for day in DAYS if day in found]


def _windows(value: object) -> list[str]:
    windows = value if isinstance(value, list) else [value]
    for window in windows:
        if not isinstance(window, str) or not _WINDOW.fullmatch(window.strip()):
            raise ValueError(f"{window!r} is no time window|from-to, for example 22:00-06:00")
    if not windows:
        raise ValueError("no time window|from-to, for example 22:00-06:00")
    return ["-".join(part.strip() for part in window.split("-")) for window in windows]


def _zone(value: object) -> str:
    if isinstance(value, str) and value in available_timezones():
        return value
    close = difflib.get_close_matches(str(value), sorted(available_timezones()), n=1)
    raise ValueError(
        f"unknown time zone {value!r}|"
        + (f"did you mean {close[0]}?" if close else "an IANA name, for example Europe/Berlin")
    )


def _place(value: object) -> list[float]:
    numbers = [float(n) for n in value if _is_number(n)] if isinstance(value, list) else []
    if len(numbers) != 2 or not (-90 <= numbers[0] <= 90 and -180 <= numbers[1] <= 180):
        raise ValueError("not a place|[latitude, longitude], for example [52.5, 13.4]")
    return numbers


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class Hours(_Strict):
    """When a policy may alert: days and time windows in a zone, and the sun at a place."""

    days: Annotated[list[str], BeforeValidator(_days)] = list(DAYS)
    time: Annotated[list[str], BeforeValidator(_windows)] = []
    zone: Annotated[str, BeforeValidator(_zone)] = ""
    sun: Literal["up", "down"] | None = None
    place: Annotated[list[float], BeforeValidator(_place)] = []

    @model_validator(mode="after")
    def _whole(self) -> "Hours":
        if not self.zone and (self.time or len(self.days) < 7):
            raise ValueError("`zone` is missing|for example zone: Europe/Berlin")
        if self.sun and not self.place:
            raise ValueError("`place` is missing|place: [latitude, longitude]")
        if not self.sun and not self.zone:
            raise ValueError("nothing said|days, time or sun")
        return self


class See(_Strict):
    """Several phrases at once: one of `any`, every one of `all`, none of `not`."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, validate_by_name=True, validate_by_alias=True
    )
    any: Annotated[list[str], BeforeValidator(_phrases)] = []
    all: Annotated[list[str], BeforeValidator(_phrases)] = []
    none: Annotated[list[str], BeforeValidator(_phrases)] = Field(default=[], alias="not")

    @model_validator(mode="after")
    def _each_once(self) -> "See":
        seen: set[str] = set()
        for phrase in (*self.any, *self.all, *self.none):
            if phrase in seen:
                raise ValueError(f"{phrase!r} stands in two of any, all and not|keep one")
            seen.add(phrase)
        if len(seen) > MAX_PHRASES:
            raise ValueError(f"{len(seen)} phrases|at most {MAX_PHRASES}")
        return self


class Policy(_Strict):
    """What to watch for, how sure to be, and what to do.

    `see` phrases; `certainty` likely (one false alarm in 1,000 background frames), sure (one in
    10,000) or a probability; `hold_s` how long it must be seen without a break; `cooldown_s`
    between alerts of one camera.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, validate_by_name=True, validate_by_alias=True
    )
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")] = ""
    description: str = ""
    see: Annotated[
        Annotated[list[str], Tag("see-list")] | Annotated[See, Tag("see-map")],
        Discriminator(lambda value: "see-map" if isinstance(value, (dict, See)) else "see-list"),
        BeforeValidator(_see),
    ]
    new: bool = False
    instant: bool = False
    certainty: Annotated[str | float, BeforeValidator(_certainty)] = "likely"
    hold_s: Duration = Field(default=0.0, alias="for")
    gone_s: Duration = Field(default=0.0, alias="gone")
    cooldown_s: Duration = Field(default=60.0, alias="cooldown")
    cameras: Annotated[list[str], BeforeValidator(_one_or_many), Field(min_length=1)] = ["*"]
    hours: Annotated[Hours, BeforeValidator(_hours)] | None = Field(default=None, alias="while")
    defer: bool = False
    then: Annotated[list[Action], Field(min_length=1)]

    @model_validator(mode="after")
    def _fits_together(self) -> "Policy":
        if self.gone_s and (self.new or self.hold_s):
            raise ValueError(
                "`gone` does not go with `new` or `for`|gone: 10m alone says it: was seen, then not"
            )
        if self.instant and self.hold_s:
            raise ValueError("`instant` does not go with `for`|leave one of them out")
        if self.defer and self.hours is None:
            raise ValueError("`defer` needs a `while` to wait for|while: {time: 08:00-22:00, …}")
        return self

    @property
    def any_of(self) -> list[str]:
        """Phrases of which one must be seen."""
        return self.see.any if isinstance(self.see, See) else self.see

    @property
    def all_of(self) -> list[str]:
        """Phrases that must all be seen."""
        return self.see.all if isinstance(self.see, See) else []

    @property
    def none_of(self) -> list[str]:
        """Phrases of which none may be seen."""
        return self.see.none if isinstance(self.see, See) else []

    @property
    def phrases(self) -> list[str]:
        """All phrases: `any`, then `all`, then `not`."""
        return [*self.any_of, *self.all_of, *self.none_of]

    def watches(self, device: str) -> bool:
        """Whether a device's id fits one of the `cameras` patterns."""
        return any(fnmatch.fnmatchcase(device, pattern) for pattern in self.cameras)


def parse_policy(text: str, path: str, default_name: str) -> Policy:
    """The policy in the YAML `text`; `path` is for messages only.

    Raises PolicyErrors with every problem found, each with line, column and, where there is one,
    a suggestion.
    """
    tree = _load_yaml(text, path)
    if not isinstance(tree, CommentedMap):
        raise PolicyErrors([Problem(path, 1, 1, "a policy is a map", "start with: see: a cat")])
    try:
        return Policy.model_validate({"name": default_name, **_plain(tree)})
    except ValidationError as error:
        problems = [_problem(path, tree, found) for found in error.errors()]
        raise PolicyErrors(sorted(problems, key=lambda p: (p.line, p.column))) from None


def _load_yaml(text: str, path: str) -> Any:
    yaml = YAML(typ="rt")
    yaml.version = (1, 2)
    try:
        return yaml.load(StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        reason = " ".join((error.problem or "not YAML").split())
        hint = "keep one of the two" if "duplicate key" in reason else ""
        raise PolicyErrors([Problem(path, line, column, reason, hint)]) from None
    except (YAMLError, ValueError) as error:  # control characters and the like
        raise PolicyErrors([Problem(path, 1, 1, f"not YAML: {error}")]) from None


def _plain(node: Any) -> Any:
    """Ruamel's containers and scalars as plain Python."""
    if isinstance(node, dict):
        return {_plain(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(item) for item in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def _problem(path: str, tree: CommentedMap, found: Any) -> Problem:
    unknown = found["type"] == "extra_forbidden"
    location = tuple(part for part in found["loc"] if part not in ("see-list", "see-map"))
    line, column = _position(tree, location, at_key=unknown)
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


def _position(tree: Any, location: tuple[Any, ...], *, at_key: bool) -> tuple[int, int]:
    """Line and column, from 1, of the deepest part of `location` that is in the file."""
    node, line, column = tree, 0, 0
    for part in location:
        if isinstance(node, CommentedMap) and part in node:
            block = isinstance(node[part], (CommentedMap, CommentedSeq)) and part != location[-1]
            at = node.lc.key(part) if at_key or block else node.lc.value(part)
            line, column = at
            node = node[part]
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            line, column = node.lc.item(part)
            node = node[part]
        # A discriminator tag, or a field whose value is the short text form: stay where we are.
    return int(line) + 1, int(column) + 1

"""The smaller rules of a policy: count, change, cooldown, severity, mode, escalation."""

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from moteye.core.language.actions import Actions
from moteye.core.language.values import Duration, Strict, certainty_of, closest

_BY_ALIAS = ConfigDict(
    extra="forbid", frozen=True, strict=True, validate_by_name=True, validate_by_alias=True
)
_COUNT = re.compile(r"(>=|<=|==|≥|≤|=|>|<)\s*(\d{1,2})")
_WRITTEN = {"≥": ">=", "≤": "<=", "=": "=="}
SEVERITIES = ("info", "warning", "critical")
MODES = ("single", "restart", "queued", "parallel")
ALIKE = 0.2  # of captions of one scene; docs/captions.md has the measurement


class Count(Strict):
    """How many things at once: from `least` to `most`."""

    least: int = 0
    most: int | None = None

    def __str__(self) -> str:
        if self.most is None:
            return f">= {self.least}"
        return f"== {self.least}" if self.least == self.most else f"<= {self.most}"


def _count(value: object) -> object:
    if isinstance(value, Count):
        return value
    found = _COUNT.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        number = value if isinstance(value, int) and not isinstance(value, bool) else 2
        raise ValueError(f'not a count|for example ">= {number}"')
    sign, number = _WRITTEN.get(found[1], found[1]), int(found[2])
    least, most = {
        ">=": (number, None),
        ">": (number + 1, None),
        "<=": (0, number),
        "<": (0, number - 1),
        "==": (number, number),
    }[sign]
    if least == 0 and most is None:
        raise ValueError('any number is at least 0|for example ">= 1"')
    if most is not None and most < 0:
        raise ValueError('no number is below 0|for example "< 2"')
    return Count(least=least, most=most)


CountText = Annotated[Count, BeforeValidator(_count)]


class Change(Strict):
    """The picture differs from its slow mean over `over_s`, by `times` what is usual there.

    Or, `of` caption, the device says something else than it did: a sentence whose likeness to the
    one before is below `alike`.
    """

    model_config = _BY_ALIAS
    of: Literal["embedding", "caption"] = "embedding"
    over_s: Duration = Field(default=600.0, alias="over")
    times: Annotated[int, Field(ge=2, le=100)] = 3
    alike: Annotated[float, Field(gt=0, lt=1)] = ALIKE


_CHANGES = {"embedding": ("over", "times"), "caption": ("alike",)}


def _change(value: object) -> object:
    word = str(value.get("of", "embedding") if isinstance(value, dict) else value)
    if isinstance(value, str):
        value = {"of": value}
    if isinstance(value, dict):
        if word not in _CHANGES:
            raise ValueError(f"unknown change {word!r}|{closest(word, _CHANGES)}")
        others = {key for of, keys in _CHANGES.items() if of != word for key in keys}
        for key in others.intersection(value):
            raise ValueError(f"`{key}` does not go with {word}|known: {', '.join(_CHANGES[word])}")
    return value


ChangeText = Annotated[Change, BeforeValidator(_change)]


class Cooldown(Strict):
    """The least time between two alerts of one camera, of each class apart, or of the site."""

    model_config = _BY_ALIAS
    for_s: Duration = Field(alias="for")
    per: list[Literal["camera", "class", "site"]] = ["camera"]


def _cooldown(value: object) -> object:
    if not isinstance(value, dict):
        return value if isinstance(value, Cooldown) else {"for": value}
    per = value.get("per", ["camera"])
    words = per if isinstance(per, list) else [per]
    for word in words:
        if word not in ("camera", "class", "site"):
            raise ValueError(
                f"per: no cooldown per {word!r}|{closest(word, ('camera', 'class', 'site'))}"
            )
    if not words or {"camera", "site"} <= set(words):
        raise ValueError("per: of camera and site one counts|per: [camera, class]")
    return {**value, "per": words}


CooldownText = Annotated[Cooldown, BeforeValidator(_cooldown)]


class Escalation(Strict):
    """What to do when nobody acknowledged: after `after_s`, and again every `every_s`."""

    model_config = _BY_ALIAS
    after_s: Duration = Field(alias="after")
    every_s: Duration = Field(default=0.0, alias="every")
    most: Annotated[int, Field(ge=1, le=100)] = 3
    then: Actions

    def due_s(self) -> list[float]:
        """Seconds after the alert at which it is due."""
        count = self.most if self.every_s else 1
        return [self.after_s + n * self.every_s for n in range(count)]


def _severity(value: object) -> object:
    if value not in SEVERITIES:
        raise ValueError(f"unknown severity {value!r}|{closest(value, SEVERITIES)}")
    return value


def _mode(value: object) -> object:
    if value not in MODES:
        raise ValueError(f"unknown mode {value!r}|{closest(value, MODES)}")
    return value


def _defer(value: object) -> object:
    """`true` stands for a digest."""
    if value is True or value is False:
        return "digest" if value else ""
    if value not in ("digest", "each", ""):
        raise ValueError(f"neither true nor false|{closest(value, ('true', 'digest', 'each'))}")
    return value


Severity = Annotated[Literal["info", "warning", "critical"], BeforeValidator(_severity)]
Mode = Annotated[Literal["single", "restart", "queued", "parallel"], BeforeValidator(_mode)]
Defer = Annotated[Literal["", "digest", "each"], BeforeValidator(_defer)]


class Upgrade(Strict):
    """Within an episode: alert once more, as `severity`, when it becomes so certain."""

    certainty: Annotated[str | float, BeforeValidator(certainty_of)]
    severity: Severity = "critical"

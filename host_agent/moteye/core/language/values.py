"""Values of the policy language: durations, certainty, phrases, times, places.

A validator raises ValueError with `reason|suggestion`.
"""

import difflib
import re
from collections.abc import Iterable
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from moteye.core.language.templates import check_template

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


def certainty_of(value: object) -> str | float:
    """`likely`, `sure`, or the probability of a text like p >= 0.8."""
    if value in ("likely", "sure"):
        return str(value)
    found = _CERTAINTY.fullmatch(value.strip()) if isinstance(value, str) else None
    if found and 0 < float(found[1]) < 1:
        return float(found[1])
    close = difflib.get_close_matches(str(value), ["likely", "sure"], n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else 'likely, sure, or "p >= 0.8"'
    raise ValueError(f"not a certainty: {value!r}|{hint}")


def phrases_of(value: object) -> list[str]:
    """A phrase or a list of phrases → phrases, each once, white space made single."""
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


def closest(word: object, known: Iterable[str], otherwise: str = "") -> str:
    """The suggestion for a word that is none of `known`."""
    words = sorted(known)
    close = difflib.get_close_matches(str(word), words, n=1)
    return f"did you mean {close[0]}?" if close else otherwise or "one of " + ", ".join(words)


def template_of(value: object) -> object:
    """A template that can be filled in."""
    if isinstance(value, str):
        check_template(value)
    return value


def one_or_many(value: object) -> object:
    """A single text stands for a list of one."""
    return [value] if isinstance(value, str) else value


Duration = Annotated[
    float,
    BeforeValidator(duration_s, json_schema_input_type=str),
    Field(
        ge=0,
        json_schema_extra={"pattern": "^([0-9]+(\\.[0-9]+)?(ms|[smhd]))+$", "examples": ["10s"]},
    ),
]


Template = Annotated[str, BeforeValidator(template_of)]


class Strict(BaseModel):
    """Unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\s*-\s*(?:([01]\d|2[0-3]):([0-5]\d)|24:00)")


def days_of(value: object) -> list[str]:
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


def windows_of(value: object) -> list[str]:
    """`22:00-06:00` or a list of these."""
    windows = value if isinstance(value, list) else [value]
    for window in windows:
        if not isinstance(window, str) or not _WINDOW.fullmatch(window.strip()):
            raise ValueError(f"{window!r} is no time window|from-to, for example 22:00-06:00")
    if not windows:
        raise ValueError("no time window|from-to, for example 22:00-06:00")
    return ["-".join(part.strip() for part in window.split("-")) for window in windows]


def zone_of(value: object) -> str:
    """An IANA time zone's name."""
    if isinstance(value, str) and value in available_timezones():
        return value
    close = difflib.get_close_matches(str(value), sorted(available_timezones()), n=1)
    raise ValueError(
        f"unknown time zone {value!r}|"
        + (f"did you mean {close[0]}?" if close else "an IANA name, for example Europe/Berlin")
    )


def place_of(value: object) -> list[float]:
    """Latitude and longitude in degrees."""
    numbers = [float(n) for n in value if _is_number(n)] if isinstance(value, list) else []
    if len(numbers) != 2 or not (-90 <= numbers[0] <= 90 and -180 <= numbers[1] <= 180):
        raise ValueError("not a place|[latitude, longitude], for example [52.5, 13.4]")
    return numbers


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

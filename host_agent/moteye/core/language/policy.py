"""The models of a policy."""

import fnmatch
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from moteye.core.language.actions import Action
from moteye.core.language.conditions import While
from moteye.core.language.values import (
    MAX_PHRASES,
    Duration,
    Strict,
    certainty_of,
    one_or_many,
    phrases_of,
)


def _see(value: object) -> object:
    """A phrase, a list of which any counts, or a map of `any`, `all` and `not`."""
    if not isinstance(value, dict):
        return phrases_of(value)
    if not ("any" in value or "all" in value) and set(value) <= {"not"}:
        raise ValueError("`not` alone never begins|say in any: or all: what to see")
    return value


class See(Strict):
    """Several phrases at once: one of `any`, every one of `all`, none of `not`."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, validate_by_name=True, validate_by_alias=True
    )
    any: Annotated[list[str], BeforeValidator(phrases_of)] = []
    all: Annotated[list[str], BeforeValidator(phrases_of)] = []
    none: Annotated[list[str], BeforeValidator(phrases_of)] = Field(default=[], alias="not")

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


class Policy(Strict):
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
    certainty: Annotated[str | float, BeforeValidator(certainty_of)] = "likely"
    hold_s: Duration = Field(default=0.0, alias="for")
    gone_s: Duration = Field(default=0.0, alias="gone")
    cooldown_s: Duration = Field(default=60.0, alias="cooldown")
    cameras: Annotated[list[str], BeforeValidator(one_or_many), Field(min_length=1)] = ["*"]
    hours: While | None = Field(default=None, alias="while")
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

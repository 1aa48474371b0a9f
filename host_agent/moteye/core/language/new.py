"""`new:`, what counts as news: of which kind, where, and how far back one remembers."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from moteye.core.language.values import Duration, Strict, duration_s, one_or_many, zone_of

CALENDAR_WINDOWS = ("day", "season")


def _new(value: object) -> object:
    if value in ("class", "instance"):
        return {"of": value}
    if not isinstance(value, (bool, dict)):
        raise ValueError("neither true nor false|write true or false, or {of: instance, …}")
    return value


def _window(value: object) -> str | float:
    if value == "ever" or value in CALENDAR_WINDOWS:
        return str(value)
    try:
        seconds = duration_s(value)
    except ValueError:
        raise ValueError(f"not a window: {value!r}|ever, day, season or a time: 30d") from None
    if seconds <= 0:
        raise ValueError("a window of no length remembers nothing|ever, day, season or 30d")
    return seconds


class New(Strict):
    """What is news, judged by a memory that outlives episodes, restarts and reloads.

    `of` class: the words hold after they did not; instance: another thing, told by the picture.
    `window` how far back memory counts; `after_absence_s` what was away that long is news again;
    `learn_s` from the first look on all is taken as known; `known` names that are never news.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, validate_by_name=True, validate_by_alias=True
    )
    of: Literal["class", "instance"] = "class"
    per: Literal["zone", "camera", "site"] = "camera"
    window: Annotated[
        str | float,
        BeforeValidator(_window),
        Field(json_schema_extra={"examples": ["ever", "30d", "season", "day"]}),
    ] = "ever"
    after_absence_s: Duration = Field(default=0.0, alias="after_absence")
    learn_s: Duration = Field(default=0.0, alias="learn")
    known: Annotated[list[str], BeforeValidator(one_or_many)] = []
    zone: Annotated[str, BeforeValidator(zone_of)] = ""

    @model_validator(mode="after")
    def _whole(self) -> "New":
        if self.known and self.of == "class":
            raise ValueError("`known` names single things|add of: instance")
        if self.window in CALENDAR_WINDOWS and not self.zone:
            raise ValueError(f"`zone` is missing for window: {self.window}|zone: Europe/Berlin")
        return self


# What stands in a policy: true, false, `class`, `instance` or the map.
NewOrNot = Annotated[
    Annotated[bool, Tag("new-flag")] | Annotated[New, Tag("new-map")],
    Discriminator(lambda value: "new-flag" if isinstance(value, bool) else "new-map"),
    BeforeValidator(_new),
]

"""`while:`, the conditions under which a policy may alert."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from moteye.core.language.values import (
    DAYS,
    Strict,
    closest,
    days_of,
    place_of,
    windows_of,
    zone_of,
)

_BY_ALIAS = ConfigDict(
    extra="forbid", frozen=True, strict=True, validate_by_name=True, validate_by_alias=True
)


def _values(value: object) -> object:
    values = value if isinstance(value, list) else [value]
    for one in values:
        if not isinstance(one, str):
            raise ValueError(f"{one!r} is not a text|a state is compared as text: put it in quotes")
    if not values:
        raise ValueError("no state|for example is: armed")
    return values


class MqttState(Strict):
    """The last message on a topic is one of `is_`, or with `field` that entry of its JSON.

    Before the first message the state is not known: `unknown` says what that means.
    """

    model_config = _BY_ALIAS
    topic: Annotated[str, Field(pattern=r"^[^+#\x00]+$")]
    is_: Annotated[list[str], BeforeValidator(_values)] = Field(alias="is")
    field: str = ""
    unknown: Literal["open", "closed"] = "closed"


class PolicyState(Strict):
    """Another policy has an episode under way on some camera (or the `same`), or on none."""

    model_config = _BY_ALIAS
    name: str
    is_: Literal["present", "absent"] = Field(default="present", alias="is")
    camera: Literal["any", "same"] = "any"


def _many(example: str) -> object:
    def check(value: object) -> object:
        if isinstance(value, str):
            raise ValueError(f"a map is wanted|{example}")
        return value if isinstance(value, list) else [value]

    return BeforeValidator(check)


def _hours(value: object) -> object:
    if isinstance(value, str):
        raise ValueError("a map is wanted|while: {time: 22:00-06:00, zone: Europe/Berlin}")
    return value


def _sun(value: object) -> object:
    if value not in ("up", "down"):
        raise ValueError(f"neither up nor down|{closest(value, ('up', 'down'))}")
    return value


class Hours(Strict):
    """When a policy may alert: days and time windows in a zone, the sun at a place, other states.

    All that is said must hold.
    """

    days: Annotated[list[str], BeforeValidator(days_of)] = list(DAYS)
    time: Annotated[list[str], BeforeValidator(windows_of)] = []
    zone: Annotated[str, BeforeValidator(zone_of)] = ""
    sun: Annotated[Literal["up", "down"], BeforeValidator(_sun)] | None = None
    place: Annotated[list[float], BeforeValidator(place_of)] = []
    mqtt: Annotated[list[MqttState], _many("mqtt: {topic: home/alarm, is: armed}")] = []
    policy: Annotated[list[PolicyState], _many("policy: {name: somebody-home, is: absent}")] = []

    @model_validator(mode="after")
    def _whole(self) -> "Hours":
        if not self.zone and (self.time or len(self.days) < 7):
            raise ValueError("`zone` is missing|for example zone: Europe/Berlin")
        if self.sun and not self.place:
            raise ValueError("`place` is missing|place: [latitude, longitude]")
        if not (self.sun or self.zone or self.mqtt or self.policy):
            raise ValueError("nothing said|days, time, sun, mqtt or policy")
        return self

    @property
    def timed(self) -> bool:
        """Whether days, time or sun are part of it."""
        return bool(self.zone or self.sun)


# `while: …` as it stands in a policy.
While = Annotated[Hours, BeforeValidator(_hours)]

"""`while:`, the conditions under which a policy may alert."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, model_validator

from moteye.core.language.values import DAYS, Strict, days_of, place_of, windows_of, zone_of


def _hours(value: object) -> object:
    if isinstance(value, str):
        raise ValueError("a map is wanted|while: {time: 22:00-06:00, zone: Europe/Berlin}")
    return value


class Hours(Strict):
    """When a policy may alert: days and time windows in a zone, and the sun at a place."""

    days: Annotated[list[str], BeforeValidator(days_of)] = list(DAYS)
    time: Annotated[list[str], BeforeValidator(windows_of)] = []
    zone: Annotated[str, BeforeValidator(zone_of)] = ""
    sun: Literal["up", "down"] | None = None
    place: Annotated[list[float], BeforeValidator(place_of)] = []

    @model_validator(mode="after")
    def _whole(self) -> "Hours":
        if not self.zone and (self.time or len(self.days) < 7):
            raise ValueError("`zone` is missing|for example zone: Europe/Berlin")
        if self.sun and not self.place:
            raise ValueError("`place` is missing|place: [latitude, longitude]")
        if not self.sun and not self.zone:
            raise ValueError("nothing said|days, time or sun")
        return self


# Where a message must name the type: `while: …` as it stands in a policy.
While = Annotated[Hours, BeforeValidator(_hours)]

"""Where to look: groups of cameras, and zones within a picture."""

import fnmatch
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field

from moteye.core.language.values import Duration, Strict, one_or_many

GRID = 4096  # a picture's width and height in the units of positions
_MOST_CORNERS = 64
_BY_ALIAS = ConfigDict(
    extra="forbid", frozen=True, strict=True, validate_by_name=True, validate_by_alias=True
)
Point = tuple[int, int]
Patterns = Annotated[list[str], BeforeValidator(one_or_many), Field(min_length=1)]


def fits(device: str, patterns: list[str]) -> bool:
    """Whether a device's id fits one of the patterns, with * and ?."""
    return any(fnmatch.fnmatchcase(device, pattern) for pattern in patterns)


def _polygon(value: object) -> list[Point]:
    """[[x, y], …] in parts of the picture → corners on the grid."""
    if not isinstance(value, list) or not 3 <= len(value) <= _MOST_CORNERS:
        raise ValueError(
            f"3 to {_MOST_CORNERS} corners are wanted|polygon: [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]"
        )
    corners = []
    for corner in value:
        numbers = corner if isinstance(corner, (list, tuple)) and len(corner) == 2 else [None]
        if not all(
            isinstance(n, (int, float)) and not isinstance(n, bool) and 0 <= n <= 1 for n in numbers
        ):
            hint = "[x, y] from 0 to 1, from the upper left"
            raise ValueError(f"{corner!r} is not a corner|{hint}")
        corners.append((round(GRID * numbers[0]), round(GRID * numbers[1])))
    count = len(corners)
    edges = [(corners[n], corners[(n + 1) % count]) for n in range(count)]
    for n, edge in enumerate(edges):
        for m in range(n + 2, count):
            if (m + 1) % count != n and _cross(*edge, *edges[m]):
                raise ValueError("its edges cross|name the corners in order, round the zone")
    if not sum(a[0] * b[1] - b[0] * a[1] for a, b in edges):
        raise ValueError("it has no inside|the corners lie on one line")
    return corners


def _side(a: Point, b: Point, c: Point) -> int:
    """> 0 when c lies to the one side of a → b, < 0 to the other, 0 on the line."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


class Zone(Strict):
    """A part of the picture, by the corners of a polygon.

    A thing is in it when the middle of its lower edge is, where it stands; for `inertia` frames in
    a row and for `dwell_s` before it counts.
    """

    model_config = _BY_ALIAS
    name: str = ""
    cameras: Patterns = ["*"]
    polygon: Annotated[list[Point], BeforeValidator(_polygon)]
    inertia: Annotated[int, Field(ge=1, le=100)] = 2
    dwell_s: Duration = Field(default=0.0, alias="dwell")

    def holds(self, x: int, y: int) -> bool:
        """Whether a point on the grid lies inside; a point on an edge may count to either side."""
        inside = False
        count = len(self.polygon)
        for n in range(count):
            (x0, y0), (x1, y1) = self.polygon[n], self.polygon[(n + 1) % count]
            if (y0 > y) != (y1 > y):
                # x < x0 + (y - y0) (x1 - x0) / (y1 - y0), without the division
                left = (x - x0) * (y1 - y0) - (y - y0) * (x1 - x0)
                inside ^= (left < 0) == (y1 > y0)
        return inside


def _group(value: object) -> object:
    """A pattern or a list of patterns stands for `cameras`."""
    return {"cameras": value} if isinstance(value, (str, list)) else value


class Group(Strict):
    """Cameras that see one place; within `merge_s` their alerts are of one happening."""

    model_config = _BY_ALIAS
    name: str = ""
    cameras: Patterns
    merge_s: Duration = Field(default=0.0, alias="merge")


GroupText = Annotated[Group, BeforeValidator(_group)]


class Definitions(Strict):
    """What a file gives names to."""

    groups: dict[str, GroupText] = {}
    zones: dict[str, Zone] = {}

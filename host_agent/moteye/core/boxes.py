"""Things with a place in the picture: zones and counts.

Positions come with an observation where the camera's encoder gives them. Where it does not, a
policy with `in:` or `count:` never holds, and its gate says so.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from moteye.core.language import Count, Policy, Zone
from moteye.core.language.places import fits
from moteye.core.layout import NEVER, CompiledPolicy
from moteye.core.look import Look, over_of
from moteye.core.track import BAND_Q8

_NOWHERE = -32768  # the margin of a phrase of which nothing is in the zone
NO_BOXES = "this camera's encoder gives no positions"


@dataclass(frozen=True, slots=True)
class Box:
    """One thing in a frame: a phrase's column, its margin, and the edges on the grid (0..GRID)."""

    column: int
    margin_q8: int
    left: int
    top: int
    right: int
    bottom: int

    @property
    def edges(self) -> tuple[int, int, int, int]:
        """Equal for the same thing under another phrase."""
        return self.left, self.top, self.right, self.bottom

    def within(self, zone: Zone) -> bool:
        """Whether it stands in `zone`: by the middle of its lower edge."""
        return zone.holds((self.left + self.right) // 2, self.bottom)


def boxes_text(boxes: tuple[Box, ...], names: Sequence[str]) -> bytes:
    """For a recording: JSON, by the phrases `names` of the columns, which may be others later."""
    rows = [(names[box.column], box.margin_q8, *box.edges) for box in boxes]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()


def boxes_of(data: bytes | None, columns: Mapping[str, int]) -> tuple[Box, ...] | None:
    """The boxes that `data` came from, those of phrases that still have a column."""
    if data is None:
        return None
    rows = json.loads(data)
    return tuple(Box(columns[row[0]], *row[1:]) for row in rows if row[0] in columns)


def look_at_boxes(
    compiled: CompiledPolicy, device: str, boxes: tuple[Box, ...] | None, columns: int
) -> Look:
    """One frame in the eyes of a policy with `in` or `count`; `columns` of the score matrix."""
    policy = compiled.policy
    margins = np.full(columns, _NOWHERE, np.int16)
    if boxes is None:
        return Look(compiled, -NEVER, margins, extra=(("boxes", False, NO_BOXES),))
    zones = [zone for zone in policy.zones if fits(device, zone.cameras)]
    own = set(compiled.columns.tolist())
    inside = [
        box
        for box in boxes
        if box.column in own and (not policy.zones or any(box.within(zone) for zone in zones))
    ]
    for box in inside:
        margins[box.column] = max(int(margins[box.column]), box.margin_q8)
    over = over_of(compiled, margins)
    extra = [_zone_gate(policy, device, zones, inside)] if policy.zones else []
    if policy.count is not None:
        ranked = _ranked(compiled, inside)
        counted = _count_over(policy.count, ranked)
        blocked = bool(policy.none_of) and over < 0 and _refused(compiled, margins)
        over = min(counted, -1) if blocked else counted
        found = sum(value >= 0 for value in ranked)
        extra.append(("count", counted >= 0, f"counted {found}, wanted {policy.count}"))
    if policy.gone_s:
        over = -1 - over
    return Look(compiled, over, margins, extra=tuple(extra), band=BAND_Q8)


def _refused(compiled: CompiledPolicy, margins: npt.NDArray[np.int16]) -> bool:
    """Whether one of `not` is among the things."""
    first = len(compiled.policy.any_of)
    return bool((margins[compiled.columns[first:]] >= compiled.enter_q8[first:]).any())


def _ranked(compiled: CompiledPolicy, inside: list[Box]) -> list[int]:
    """How far above its threshold each thing of `any` stands, best first.

    A thing that two phrases name is one.
    """
    wanted = len(compiled.policy.any_of)
    enter = dict(
        zip(compiled.columns[:wanted].tolist(), compiled.enter_q8[:wanted].tolist(), strict=True)
    )
    best: dict[tuple[int, int, int, int], int] = {}
    for box in inside:
        if box.column in enter:
            over = box.margin_q8 - enter[box.column]
            best[box.edges] = max(best.get(box.edges, -NEVER), over)
    return sorted(best.values(), reverse=True)


def _count_over(count: Count, ranked: list[int]) -> int:
    """>= 0 where the number of things with >= 0 lies within `count`, by how much it does."""
    over = NEVER
    if count.least:
        over = ranked[count.least - 1] if len(ranked) >= count.least else -NEVER
    if count.most is not None and len(ranked) > count.most:
        over = min(over, -1 - ranked[count.most])
    return over


def _zone_gate(
    policy: Policy, device: str, zones: list[Zone], inside: list[Box]
) -> tuple[str, bool, str]:
    if not zones:
        names = ", ".join(zone.name for zone in policy.zones)
        return "in", False, f"in: {names} is not a zone of {device}"
    names = ", ".join(zone.name or "the zone" for zone in zones)
    text = f"in {names}: {len(inside)} of what is looked for"
    return "in", bool(inside) is not bool(policy.gone_s), text

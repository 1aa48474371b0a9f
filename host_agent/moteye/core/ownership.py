"""Which devices are an agent's own: those its policies watch, or those its settings name. Pure.

Several agents on one broker divide the devices that way (T15). An agent brings sets to its own
devices only; who is nobody's keeps the set that it has.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from moteye.core.language import Policy
from moteye.core.language.places import fits


@dataclass(frozen=True)
class Ownership:
    """Ids of devices as patterns with * and ?; `named` in the settings."""

    patterns: tuple[str, ...] = ("*",)
    named: bool = False

    def owns(self, device: str) -> bool:
        """Whether a device is one of them."""
        return fits(device, list(self.patterns))

    @property
    def reason(self) -> str:
        """Why some device is none of them."""
        return "it is not among `devices`" if self.named else "no policy watches it"

    def shared_with(self, others: Iterable[str]) -> tuple[str, str] | None:
        """A pattern of ours and one of another agent's that some id would fit; None: no such."""
        theirs = list(others)
        pairs = ((one, other) for one in self.patterns for other in theirs)
        return next((pair for pair in pairs if _some_id_fits(*pair)), None)


def ownership(named: Iterable[str], policies: Iterable[Policy]) -> Ownership:
    """The devices that settings name; else those that any policy watches, switched off or not.

    Without policies it is all devices, for sets that come from files.
    """
    chosen = tuple(sorted(set(named)))
    watched = {pattern for policy in policies for pattern in policy.patterns}
    return Ownership(chosen or tuple(sorted(watched)) or ("*",), bool(chosen))


def _some_id_fits(one: str, other: str) -> bool:
    """Whether there is a text that fits both patterns; a set as [ab] counts as any letter."""
    one, other = (re.sub(r"\[[^]]+\]", "?", pattern) for pattern in (one, other))

    @cache
    def meet(i: int, k: int) -> bool:
        a, b = one[i : i + 1], other[k : k + 1]
        if not a and not b:
            return True
        if a == "*":
            return meet(i + 1, k) or (bool(b) and meet(i, k + 1))
        if b == "*":
            return meet(i, k + 1) or (bool(a) and meet(i + 1, k))
        return bool(a and b) and (a == b or "?" in (a, b)) and meet(i + 1, k + 1)

    return meet(0, 0)

"""What a policy promised and what came of it: false alarms, with intervals. Pure."""

import math
from dataclasses import dataclass

from moteye.core.calibration import PROMISED_RATE
from moteye.core.decisions import Decision
from moteye.core.language import Policy
from moteye.core.marks import Mark

_Z95 = 1.96


def wilson(count: int, of: int) -> tuple[float, float]:
    """95 % interval of a share, by Wilson (1927); (0, 1) for none of none."""
    if of == 0:
        return 0.0, 1.0
    share, z2 = count / of, _Z95**2
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z95 / (1 + z2 / of) * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Kept:
    """How one policy kept its promise on one camera.

    `frames` recorded; of its `alerts`, `wrong` and `right` were marked so, the rest nobody spoke
    of. `promised` false alarms per background frame, None for a probability.
    """

    policy: str
    camera: str
    promised: float | None
    frames: int
    alerts: int
    wrong: int
    right: int

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of false alarms per frame: nobody spoke of it may mean right or wrong."""
        low, _ = wilson(self.wrong, self.frames)
        _, high = wilson(max(self.wrong, self.alerts - self.right), self.frames)
        return low, high

    @property
    def verdict(self) -> str:
        """`kept`, `broken`, or what is missing to tell."""
        if self.promised is None:
            return "no promise"
        low, high = self.interval
        if high <= self.promised:
            return "kept"
        if low > self.promised:
            return "broken"
        return "not yet known"


def kept_promises(
    policies: list[Policy],
    frames: dict[str, int],
    decisions: list[Decision],
    marks: list[Mark],
    captions: dict[str, int] | None = None,
) -> list[Kept]:
    """One row for each policy and camera that it watches.

    `frames` recorded by camera, and `captions` for policies about these.
    """
    said = {mark.decision: mark.verdict for mark in marks if not mark.undone_ms}
    found = []
    for policy in policies:
        promised = None
        if isinstance(policy.certainty, str) and policy.changes is None:
            promised = PROMISED_RATE[policy.certainty]
        counted = (captions or {}) if policy.hears else frames
        for camera in sorted(camera for camera in counted if policy.watches(camera)):
            fired = [
                said.get(decision.id, "")
                for decision in decisions
                if decision.fired and (decision.policy, decision.device) == (policy.name, camera)
            ]
            right = sum(word in ("right", "known", "name") for word in fired)
            row = (counted[camera], len(fired), fired.count("wrong"), right)
            found.append(Kept(policy.name, camera, promised, *row))
    return found

"""What is allowed and yet likely a mistake. Pure: the compiled set and known cameras go in."""

from dataclasses import dataclass

import numpy as np

from moteye.core.calibration import PROMISED_RATE, rate_interval
from moteye.core.compile import CompiledSet
from moteye.core.language import Group, Policy
from moteye.core.layout import CompiledPolicy

CONFUSABLE = 0.8  # correlation of two phrases' margins over the bank
LOOSE_RATE = 0.01  # a chosen probability that may fire on more than this share of background
_PROMISE_SLACK = 3.0


@dataclass(frozen=True)
class Lint:
    """One finding about one policy."""

    policy: str
    text: str

    def __str__(self) -> str:
        return f"{self.policy}: {self.text}"


def lint(compiled: CompiledSet, cameras: set[str] | None) -> list[Lint]:
    """All findings. `cameras`: every device that was ever seen, None where nothing is known."""
    found = _confusable(compiled)
    for item in compiled.policies:
        found += _uncertain(item, compiled)
        found += _unknown_cameras(item, cameras or set())
    return found


def _confusable(compiled: CompiledSet) -> list[Lint]:
    """Phrases that the encoder does not tell apart, where telling them apart is the point.

    Those of different policies, and of `not` against the rest; phrases of one list may be alike.
    """
    bank = compiled.built.bank_q8.astype(np.float64)
    similarity = np.atleast_2d(np.corrcoef(bank, rowvar=False))
    roles = [
        (item.policy.name, phrase, int(column), phrase in item.policy.none_of)
        for item in compiled.policies
        for phrase, column in zip(item.policy.phrases, item.columns, strict=True)
    ]
    found = []
    for at, (policy, phrase, column, negated) in enumerate(roles):
        for other, another, across, refused in roles[at + 1 :]:
            alike = float(similarity[column, across])
            apart = policy != other or negated != refused
            if column != across and apart and alike >= CONFUSABLE:
                where = "" if policy == other else f" of {other}"
                text = f"{phrase!r} and {another!r}{where} are hard to tell apart"
                found.append(Lint(policy, f"{text}: similarity {alike:.2f}"))
    return found


def _uncertain(item: CompiledPolicy, compiled: CompiledSet) -> list[Lint]:
    """Thresholds whose promise lies within the error of the calibration."""
    found = []
    certainty = item.policy.certainty
    for phrase, column, enter in zip(item.policy.phrases, item.columns, item.enter_q8, strict=True):
        background = compiled.built.background_q8(int(column), item.columns)
        low, high = rate_interval(background, int(enter))
        interval = f"95 % interval {1000 * low:.2f} - {1000 * high:.2f} per 1,000"
        if isinstance(certainty, float):
            if high > LOOSE_RATE:
                text = f"p >= {certainty:g} may fire on much background"
                found.append(Lint(item.policy.name, f"{phrase!r}: {text}: {interval}"))
            continue
        promised = PROMISED_RATE[certainty] / len(item.columns)
        if high > _PROMISE_SLACK * promised:
            text = f"{certainty} promises {1000 * promised:.2f}, within the calibration's error"
            found.append(Lint(item.policy.name, f"{phrase!r}: {text}: {interval}"))
    return found


def _unknown_cameras(item: CompiledPolicy, cameras: set[str]) -> list[Lint]:
    if not cameras or any(item.policy.watches(name) for name in cameras):
        return []
    wanted = ", ".join(_camera_names(item.policy))
    text = f"no camera is called {wanted}; seen so far: {', '.join(sorted(cameras))}"
    return [Lint(item.policy.name, text)]


def _camera_names(policy: Policy) -> list[str]:
    return [camera.name if isinstance(camera, Group) else camera for camera in policy.cameras]

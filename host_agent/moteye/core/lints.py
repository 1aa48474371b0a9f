"""What is allowed and yet likely a mistake. Pure: what is known of cameras and the past goes in."""

from dataclasses import dataclass

import numpy as np

from moteye.core.calibration import PROMISED_RATE, rate_interval
from moteye.core.compile import CompiledSet
from moteye.core.language import Group, Policy
from moteye.core.language.places import fits
from moteye.core.layout import CompiledPolicy
from moteye.core.past import ALWAYS, FEW_FRAMES, MANY_A_DAY, Recording
from moteye.core.track import BAND_Q8

CONFUSABLE = 0.8  # correlation of two phrases' margins over the bank
LOOSE_RATE = 0.01  # a chosen probability that may fire on more than this share of background
_PROMISE_SLACK = 3.0
_ENABLED = "{enabled: true}"


@dataclass(frozen=True)
class Lint:
    """One finding about one policy."""

    policy: str
    text: str

    def __str__(self) -> str:
        return f"{self.policy}: {self.text}"


def lint(
    compiled: CompiledSet,
    cameras: set[str] | None,
    recording: Recording | None = None,
    *,
    positions: bool = True,
    narrators: set[str] | None = None,
) -> list[Lint]:
    """All findings.

    `cameras`: every device that was ever seen, `narrators` those that said anything, None where
    nothing is known; `recording`: the past of these policies; `positions`: whether the encoder
    gives any.
    """
    found = _confusable(compiled)
    found += _confusable(compiled.captions) if compiled.captions is not None else []
    for item in compiled.policies:
        found += [] if positions else without_positions(item.policy)
        found += _uncertain(item, compiled.having(item.policy))
        found += _unknown_cameras(item, cameras or set())
        found += _without_captions(item.policy, cameras or set(), narrators)
        found += unreachable(item, compiled)
        found += _in_the_past(item.policy, recording) if recording is not None else []
    return found


def without_positions(policy: Policy) -> list[Lint]:
    """A policy that asks where things are, of an encoder that does not say."""
    if not policy.boxed:
        return []
    used = {"in": bool(policy.zones), "count": policy.count is not None}
    keys = " and ".join(f"`{key}`" for key, there in used.items() if there)
    text = f"{keys} never holds: the encoder sees the whole picture and gives no positions"
    return [Lint(policy.name, f"{text}; aim or mask the camera, and use `cameras`")]


def silent(policy: Policy, camera: str, pack: bytes | None, known: bytes) -> str:
    """Why a policy about captions hears nothing of a camera; empty where that is not so.

    `pack` is the camera's caption pack, None where it makes no captions; `known` is the calibrated
    one.
    """
    if not policy.hears or not policy.watches(camera) or pack == known:
        return ""
    if pack is None:
        where = f"`captions: {_ENABLED}` in its configuration"
        return f"{camera} makes no captions: {where}, or name other `cameras`"
    return f"{camera} makes captions by a pack that is not calibrated here ({pack.hex()})"


def _without_captions(policy: Policy, cameras: set[str], narrators: set[str] | None) -> list[Lint]:
    """A policy about captions, of cameras that never said anything."""
    watched = sorted(name for name in cameras if policy.watches(name))
    if not policy.hears or not watched or narrators is None or narrators.intersection(watched):
        return []
    text = f"no caption of {', '.join(watched)} on record"
    return [Lint(policy.name, f"{text}; a device says what it sees with `captions: {_ENABLED}`")]


def unreachable(item: CompiledPolicy, compiled: CompiledSet) -> list[Lint]:
    """A policy whose threshold nothing reaches that the captioner said of the bank's photos.

    Of what it says falsely more often than promised, no sentence is good enough.
    """
    captions = compiled.captions
    if item.policy.caption is None or captions is None:
        return []
    best = captions.built.bank_q8.max(axis=0).astype(np.int64)
    over = [int(best[column]) - enter - BAND_Q8 for _, column, enter in item.deciding]
    if max(over) >= 0:
        return []
    nearest = max(int(best[column]) for _, column, _ in item.deciding) - BAND_Q8
    probability = int(100 / (1 + np.exp(-nearest / 256))) / 100
    text = f"{item.policy.certainty} is more than any of {len(captions.built.bank_q8):,} captions"
    return [Lint(item.policy.name, f"{text} of generic photos reached: try p >= {probability:.2f}")]


def _in_the_past(policy: Policy, recording: Recording) -> list[Lint]:
    """Rules that alert never, or all the time, by what was recorded."""
    past = recording.pasts[policy.name]
    if past.frames < FEW_FRAMES or policy.boxed:
        return []
    what = "captions" if policy.hears else "frames"
    where = f"in {past.frames:,} {what} of {recording.days:.1f} days"
    rate, low, high = recording.a_day(policy.name)
    found = []
    if past.share > ALWAYS and not policy.gone_s:
        text = f"holds on {100 * past.share:.0f} % {where}: that is what is usual there"
        found.append(Lint(policy.name, f"{text}; add `new: true`, or say more of what is meant"))
    if past.fired == 0 and policy.changes is None:
        near = f"the nearest was {past.nearest_q8 / 256:+.2f} of its threshold"
        found.append(Lint(policy.name, f"never alerts {where}; {near}"))
    if rate > MANY_A_DAY:
        text = f"alerts {rate:.0f} times a day ({low:.0f} - {high:.0f}) {where}"
        found.append(Lint(policy.name, f"{text}; a longer `cooldown`, `for` or `sure`"))
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
        if compiled.having(item.policy) is compiled
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
    policy = item.policy
    watched = {name for name in cameras if policy.watches(name)}
    if not cameras:
        return []
    seen = f"seen so far: {', '.join(sorted(cameras))}"
    if not watched:
        wanted = ", ".join(_camera_names(policy))
        return [Lint(policy.name, f"no camera is called {wanted}; {seen}")]
    found = [
        Lint(policy.name, f"{group.name} is the name of a group and of a camera; the group counts")
        for group in policy.groups
        if group.name in cameras
    ]
    found += [
        Lint(policy.name, f"no camera of group {group.name} is known; {seen}")
        for group in policy.groups
        if not any(fits(name, group.cameras) for name in cameras)
    ]
    return found + [
        Lint(policy.name, f"zone {zone.name} is of {', '.join(zone.cameras)}: not watched")
        for zone in policy.zones
        if not any(fits(name, zone.cameras) for name in watched)
    ]


def _camera_names(policy: Policy) -> list[str]:
    return [camera.name if isinstance(camera, Group) else camera for camera in policy.cameras]

"""Decisions: what became of an episode or of a candidate, and every gate with its number."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache, lru_cache

from moteye.core.look import Look
from moteye.core.novelty import News
from moteye.core.standing import Shared
from moteye.core.track import EXIT_MARGIN_Q8, Episode, Track

UNKNOWN = "unknown: "
CLEAR_Q8 = 128  # how far what is seen must exceed what it is easily taken for: log-odds x 256


@dataclass(slots=True)  # not frozen, nor are decisions: many are made, and that costs five times
class Gate:
    """One condition on the way to an alert; `text` carries its number."""

    name: str
    passed: bool
    text: str


@dataclass(slots=True)
class Decision:
    """What became of one episode, or of a candidate that did not become one.

    `id` is the same whenever the same frame decides for the same policy. `due_ms` is when its
    actions are wanted, 0 for at once.
    """

    id: str
    policy: str
    device: str
    fired: bool
    reason: str
    phrase: str
    margin_q8: int
    threshold_q8: int
    frame: int
    session: int
    time_ms: int
    gates: tuple[Gate, ...] = ()
    due_ms: int = 0

    @property
    def verdict(self) -> str:
        """`fired`, `suppressed`, or `abstained` where it could not tell."""
        if self.fired:
            return "fired"
        failed = next((gate.text for gate in self.gates if not gate.passed), "")
        return "abstained" if failed.startswith(UNKNOWN) else "suppressed"

    @property
    def near_miss(self) -> bool:
        """Whether a candidate ended before it was seen often or long enough."""
        return not self.fired and any(
            not gate.passed and gate.name in ("frames", "held") for gate in self.gates
        )

    @property
    def heard(self) -> bool:
        """Whether it was made on a caption."""
        return any(gate.name == "caption" for gate in self.gates)

    @property
    def severity(self) -> str:
        """What an upgrade raised it to; empty where it is the policy's."""
        return next((gate.text for gate in self.gates if gate.name == "severity"), "")

    def json(self) -> str:
        """One line; equal decisions give equal bytes."""
        return json.dumps(asdict(self), ensure_ascii=False)


def decision_id(policy: str, device: str, session: int, frame: int) -> str:
    """16 hex digits that name the decision of one policy on one frame."""
    text = f"{policy}\n{device}\n{session}\n{frame}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Ending:
    """The end of an episode of a policy that asked for it; `time_ms` of the first frame without."""

    policy: str
    device: str
    episode: Episode
    time_ms: int

    @property
    def duration_ms(self) -> int:
        """How long the episode was."""
        return max(0, self.time_ms - self.episode.began_ms)


def gates_of(
    look: Look,
    track: Track,
    time_ms: int,
    *,
    hits: int,
    held_ms: float,
    closed: str = "",
    shared: Shared | None = None,
    late: bool = False,
    news: News | None = None,
    calibration: str = "",
    marked: str = "",
    unsure: bool = False,
) -> tuple[Gate, ...]:
    """Every gate between a frame and an alert, in the order in which they are asked.

    `hits` frames in a row and `held_ms` count the frame itself; `closed` is why `while` does not
    hold, `shared` what others of the policy have alerted, `late` that it came too late to alert,
    `news` what the policy's memory says of it, `calibration` by what the margin was taken,
    `marked` what people said of frames like it, `unsure` that it is too near the threshold to tell.
    """
    rule = look.compiled
    policy = rule.policy
    gates = [_unsure_gate(look, track) if unsure else _margin_gate(look, hits=hits)]
    if calibration:
        gates.append(Gate("calibration", True, calibration))
    if look.extra:
        gates += [Gate(*extra) for extra in look.extra]
    if rule.contrasts:
        gates += _contrast_gates(look)
    needed = rule.frames_needed
    gates.append(_frames_gate(min(hits, needed), needed, rule.is_gone, rule.hears))
    if rule.hold_ms:
        word, wanted = ("gone for" if policy.gone_s else "held"), rule.hold_ms
        text = f"{word} {held_ms / 1000:.1f} of {wanted / 1000:.1f} s"
        gates.append(Gate("held", held_ms >= wanted, text))
    if late:
        gates.append(Gate("late", False, "late: it came more than max_age_s after it was taken"))
    if policy.new or policy.gone_s:
        there = "absent" if policy.gone_s else "there"
        text = f"known: it was {there} when watching began"
        if news is not None and not track.from_start:
            gates.append(Gate("known", news.new, news.text))
        else:
            gates.append(Gate("known", not track.from_start, text if track.from_start else "new"))
    if marked:
        gates.append(Gate("marked", False, marked))
    gates.append(_cooldown_gate(look, track, time_ms, shared))
    for name, merge_s, fired_ms in shared.groups if shared is not None else ():
        ago_s = max(0, time_ms - fired_ms) / 1000
        text = f"group {name}: alerted {ago_s:.0f} s ago"
        gates.append(Gate("group", ago_s >= merge_s, f"{text}, merged within {merge_s:.0f} s"))
    if policy.hours is not None or rule.schedule is not None:
        gates.append(Gate("while", not closed, f"while: {closed}" if closed else "while holds"))
    return tuple(gates)


@cache
def _frames_gate(hits: int, needed: int, gone: bool, hears: bool) -> Gate:
    word, what = ("said", "caption") if hears else ("seen", "frame")
    text = f"{'absent' if gone else word} in {hits} of {needed} {what}{'s' if needed > 1 else ''}"
    return Gate("frames", hits >= needed, text)


_NO_COOLDOWN = Gate("cooldown", True, "no cooldown")


def _cooldown_gate(look: Look, track: Track, time_ms: int, shared: Shared | None) -> Gate:
    cooldown = look.compiled.policy.cooldown
    last_ms = track.fired_ms
    if shared is not None and "site" in cooldown.per:
        last_ms = shared.site_ms
    if last_ms is None:
        return _NO_COOLDOWN
    left_s = cooldown.for_s - max(0, time_ms - last_ms) / 1000
    return Gate("cooldown", False, f"cooldown: {left_s:.0f} s left") if left_s > 0 else _NO_COOLDOWN


def _margin_gate(look: Look, *, hits: int) -> Gate:
    _, margin_q8, threshold_q8 = look.found
    rule, passed = look.compiled, hits > 0
    if rule.policy.changes is not None:
        times, wanted = margin_q8 / 256, threshold_q8 / 256
        if rule.hears:
            text = f"likeness {1 - times:.2f} to what it said before"
            return Gate("change", passed, f"{text}, something else below {1 - wanted:.2f}")
        return Gate("change", passed, f"changed {times:.1f} times the usual, wanted {wanted:.0f}")
    blocker = "" if rule.only_any else look.blocker()
    if blocker and passed is rule.is_gone:
        return Gate("margin", passed, blocker)
    relation = "below" if margin_q8 < threshold_q8 else "at or above"
    return Gate("margin", passed, f"margin {_shown(margin_q8)} {relation} {_shown(threshold_q8)}")


@lru_cache(1 << 14)  # most margins are among the same few thousand
def _shown(margin_q8: int) -> str:
    return f"{margin_q8 / 256:.2f}"


def _unsure_gate(look: Look, track: Track) -> Gate:
    leaving = EXIT_MARGIN_Q8 if track.present else 0
    near = f"within {look.band / 256:.2f} of {(look.threshold_q8 - leaving) / 256:.2f}"
    return Gate("margin", False, f"{UNKNOWN}margin {look.margin_q8 / 256:.2f}, {near}")


def _contrast_gates(look: Look) -> list[Gate]:
    """Whether it is clearly rather what was asked for than what is easily taken for it."""
    contrast = look.contrast()
    if contrast is None:
        return []
    other, margin_q8 = contrast
    lead_q8 = look.margin_q8 - margin_q8
    numbers = f"margin {look.margin_q8 / 256:.2f} against {margin_q8 / 256:.2f} of {other}"
    if lead_q8 >= CLEAR_Q8:
        return [Gate("unlike", True, numbers)]
    why = f"{UNKNOWN}too close" if lead_q8 > -CLEAR_Q8 else f"rather {other}"
    return [Gate("unlike", False, f"{why}, {numbers}")]

"""A new prototype set over a fleet in waves: the rules, without I/O or a clock.

    running ── wave failed ─▶ stopped          running ── last wave good ─▶ done
    running ── wave good, `pause`; or sightings x3 ─▶ paused
    paused, stopped ── resume ─▶ running       running, paused ── stop ─▶ stopped

A wave is over when each of its devices has confirmed or failed, or at its deadline: who has said
nothing by then has failed. More failures than `max_error` stop it. Then the wave is watched:
where its devices report classes `max_growth` times as often as before, it pauses.
"""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

MIN_SIGHTINGS = 5
MIN_FRAMES = 20
FLOOR_SHARE = 0.01  # of frames with a sighting; below it, growth is chance
WAITING, CONFIRMED, FAILED = "waiting", "confirmed", "failed"


@dataclass(frozen=True)
class Plan:
    """`groups` are growing shares of the fleet, each in (0, 1], the last one 1."""

    groups: tuple[float, ...] = (1.0,)
    max_error: float = 0.02
    deadline_s: float = 120.0
    watch_s: float = 60.0
    max_growth: float = 3.0
    pause: bool = False

    def __post_init__(self) -> None:
        growing = all(a < b for a, b in zip(self.groups, self.groups[1:], strict=False))
        if not self.groups or not growing or self.groups[0] <= 0 or self.groups[-1] != 1:
            raise ValueError("groups grow and end with 100%, as in 5%,25%,100%")
        if not 0 <= self.max_error <= 1:
            raise ValueError("the error is a share from 0% to 100%")
        if self.deadline_s <= 0 or self.watch_s < 0 or self.max_growth < 1:
            raise ValueError("deadline, watch and growth are positive")


def parse_share(text: str) -> float:
    """`2%` or `0.02` → 0.02. Raises ValueError that says what is expected."""
    try:
        percent = text.strip().endswith("%")
        return float(text.strip().removesuffix("%")) / (100 if percent else 1)
    except ValueError:
        raise ValueError(f"{text!r} is no share; it reads like 2% or 0.02") from None


def parse_groups(text: str) -> tuple[float, ...]:
    """`5%,25%,100%` → (0.05, 0.25, 1.0). Raises ValueError."""
    return tuple(parse_share(part) for part in text.split(","))


@dataclass(frozen=True)
class Seen:
    """What a device has reported since some start: frames, and those in which a class was seen."""

    frames: int = 0
    sightings: int = 0

    def since(self, before: "Seen") -> "Seen":
        """What came after `before`."""
        return Seen(self.frames - before.frames, self.sightings - before.sightings)


@dataclass
class Member:
    """One device of a rollout; `wave` counts from 0, `code` says why it failed."""

    wave: int
    outcome: str = WAITING
    code: str = ""


@dataclass
class Rollout:
    """One rollout of the set `name` (8 bytes, as hex).

    Feed `outcome` and `tick`; `released` says who should have the set by now. `to_json` and
    `from_json` carry it over a restart, where the clock of the wave begins anew.
    """

    name: str
    plan: Plan
    members: dict[str, Member]
    state: str = "running"
    reason: str = ""
    wave: int = 0
    _began_s: float | None = None
    _watching_s: float | None = None
    _before: dict[str, Seen] = field(default_factory=dict)
    _at_watch: dict[str, Seen] = field(default_factory=dict)

    @classmethod
    def begin(cls, name: str, plan: Plan, devices: Iterable[str]) -> "Rollout":
        """Devices in an order that nobody chose, the same for the same set."""

        def by_chance(device: str) -> bytes:
            return hashlib.sha256(f"{name} {device}".encode()).digest()

        order = sorted(devices, key=by_chance)
        ends = [max(1, math.ceil(share * len(order) - 1e-9)) for share in plan.groups]
        members = {}
        for place, device in enumerate(order):
            members[device] = Member(next(w for w, end in enumerate(ends) if place < end))
        found = cls(name, plan, members)
        if not members:
            found.state = "done"
        return found

    @property
    def waves(self) -> int:
        """How many waves there are."""
        return 1 + max((member.wave for member in self.members.values()), default=0)

    def released(self, device: str) -> bool:
        """Whether a device should have the set now. All others once it is done."""
        member = self.members.get(device)
        if self.state == "done":
            return True
        return member is not None and member.wave <= self.wave and member.outcome != FAILED

    def outcome(self, device: str, code: str) -> None:
        """A released device has confirmed the set (`ok`), or failed for a reason of its own."""
        member = self.members.get(device)
        if member is not None and member.wave <= self.wave and member.outcome == WAITING:
            member.outcome = CONFIRMED if code == "ok" else FAILED
            member.code = "" if code == "ok" else code

    def tick(self, now_s: float, seen: dict[str, Seen]) -> None:
        """Time passes. `seen` what each device has reported so far."""
        if self.state != "running":
            return
        if self._began_s is None:
            self._began_s = now_s
            self._before = {device: seen.get(device, Seen()) for device in self._in_wave()}
        late = now_s - self._began_s >= self.plan.deadline_s
        waiting = [d for d, m in self._in_wave().items() if m.outcome == WAITING]
        for device in waiting if late else ():
            self.outcome(device, "silent")
        if self._too_many_failed():
            self._end("stopped", self._failure())
        elif late or not waiting:
            self._watch(now_s, seen)

    def resume(self) -> bool:
        """Go on after a pause or a stop; False where there is nothing to go on with."""
        if self.state not in ("paused", "stopped"):
            return False
        unfinished = any(m.outcome == WAITING for m in self._in_wave().values())
        self.state, self.reason = "running", ""
        self._began_s = self._watching_s = None
        if not unfinished:
            self._next()
        return True

    def leave_out(self, devices: Iterable[str]) -> None:
        """These have nothing to do with it any more: they neither confirm nor fail."""
        for device in devices:
            self.members.pop(device, None)

    def stop(self, reason: str) -> bool:
        """No further device gets the set; False where it is over."""
        if self.state not in ("running", "paused"):
            return False
        self._end("stopped", reason)
        return True

    def to_json(self) -> dict[str, Any]:
        """Plain values; what was seen is left out."""
        return {
            "name": self.name,
            "plan": asdict(self.plan),
            "members": {device: asdict(member) for device, member in self.members.items()},
            "state": self.state,
            "reason": self.reason,
            "wave": self.wave,
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "Rollout":
        """Raises KeyError, TypeError or ValueError for anything but what `to_json` gave."""
        plan = Plan(**{**found["plan"], "groups": tuple(found["plan"]["groups"])})
        members = {device: Member(**member) for device, member in found["members"].items()}
        return cls(
            found["name"], plan, members, found["state"], found["reason"], int(found["wave"])
        )

    def _in_wave(self) -> dict[str, Member]:
        return {d: m for d, m in self.members.items() if m.wave == self.wave}

    def _too_many_failed(self) -> bool:
        members = self._in_wave().values()
        failed = sum(member.outcome == FAILED for member in members)
        return failed > self.plan.max_error * len(members)

    def _failure(self) -> str:
        members = self._in_wave()
        failed = {d: m.code for d, m in members.items() if m.outcome == FAILED}
        shown = ", ".join(f"{device} ({code})" for device, code in sorted(failed.items())[:5])
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
        return (
            f"wave {self.wave + 1}: {len(failed)} of {len(members)} devices failed, "
            f"{self.plan.max_error:.1%} may: {shown}{more}"
        )

    def _watch(self, now_s: float, seen: dict[str, Seen]) -> None:
        """The wave has the set: does it report more than before? Then the next one."""
        if self._watching_s is None:
            self._watching_s = now_s
            self._at_watch = {device: seen.get(device, Seen()) for device in self.members}
        grown = self._growth(seen)
        if grown:
            self._end("paused", grown)
        elif now_s - self._watching_s >= self.plan.watch_s:
            if self.plan.pause and self.wave + 1 < self.waves:
                self._end("paused", f"wave {self.wave + 1} of {self.waves} is good")
            else:
                self._next()

    def _growth(self, seen: dict[str, Seen]) -> str:
        """What is wrong with the sightings of this wave; empty where nothing is.

        They are compared with what the same devices reported before they got the set; where that
        is too little, with the devices that still wait, over the same time.
        """
        wave = [d for d, m in self._in_wave().items() if m.outcome == CONFIRMED]
        after = _sum(seen.get(d, Seen()).since(self._at_watch[d]) for d in wave)
        before = _sum(self._before.get(d, Seen()) for d in wave)
        if before.frames < MIN_FRAMES:
            rest = [d for d, m in self.members.items() if m.wave > self.wave]
            before = _sum(seen.get(d, Seen()).since(self._at_watch[d]) for d in rest)
        if before.frames < MIN_FRAMES or after.sightings < MIN_SIGHTINGS:
            return ""
        usual = max(before.sightings / before.frames, FLOOR_SHARE)
        share = after.sightings / max(after.frames, 1)
        if share < self.plan.max_growth * usual:
            return ""
        return (
            f"wave {self.wave + 1}: classes are seen in {share:.1%} of frames, before in "
            f"{before.sightings / before.frames:.1%}"
        )

    def _next(self) -> None:
        self._began_s = self._watching_s = None
        if self.wave + 1 >= self.waves:
            self._end("done", "")
        else:
            self.wave += 1

    def _end(self, state: str, reason: str) -> None:
        self.state, self.reason = state, reason


def _sum(parts: Iterable[Seen]) -> Seen:
    frames = sightings = 0
    for part in parts:
        frames += part.frames
        sightings += part.sightings
    return Seen(frames, sightings)

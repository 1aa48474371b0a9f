"""The policy engine: (state, observations) → (state, decisions). No clock, no I/O, no randomness.

A *track* is what one policy knows of one camera. A phrase that is seen in CONSENSUS_FRAMES
frames in a row, for as long as `for:` says, begins an *episode*; each episode makes one
decision, fired or suppressed. It ends when CONSENSUS_FRAMES frames in a row do not show it.

                      seen again, long enough
      absent ──seen──▶ candidate ─────────────▶ present (decision)
        ▲                  │ one frame without      │
        └──────────────────┴───── gone ◀────────────┘
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from moteye.core.policy import Policy

CONSENSUS_FRAMES = 2
EXIT_MARGIN_Q8 = (
    128  # how far below the threshold an episode may sink before it ends: half a unit of log-odds
)


@dataclass(frozen=True)
class CompiledPolicy:
    """A policy and where its phrases stand in the score matrix.

    `columns` int64[P]; `enter_q8` int32[P], the margin from which each phrase counts as seen.
    """

    policy: Policy
    columns: npt.NDArray[np.int64]
    enter_q8: npt.NDArray[np.int32]
    fingerprint: str


@dataclass(frozen=True)
class Observation:
    """One frame of one device: which one, and when it was taken (host clock, ms)."""

    device: str
    session: int
    number: int
    frame: int
    time_ms: int


@dataclass(frozen=True)
class Decision:
    """What became of one episode.

    `id` is the same whenever the same frame decides for the same policy.
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


@dataclass
class _Track:
    observations: int = 0
    hits: int = 0
    misses: int = 0
    since_ms: int = 0
    from_start: bool = False
    present: bool = False
    fired_ms: int | None = None


@dataclass
class Engine:
    """All tracks of all policies.

    One instance an agent; feed it observations in the order of arrival.
    """

    policies: tuple[CompiledPolicy, ...] = ()
    _tracks: dict[tuple[str, str], _Track] = field(default_factory=dict)

    def replace(self, policies: tuple[CompiledPolicy, ...]) -> None:
        """Take another list of policies. A policy that did not change keeps what it knows."""
        kept = {compiled.fingerprint for compiled in policies}
        self._tracks = {key: track for key, track in self._tracks.items() if key[0] in kept}
        self.policies = policies

    def observe(
        self, observation: Observation, margins_q8: npt.NDArray[np.int16]
    ) -> list[Decision]:
        """Decide on one frame; margins int16[K] of all phrases of all policies."""
        decisions = []
        for compiled in self.policies:
            if compiled.policy.watches(observation.device):
                decision = self._evaluate(compiled, observation, margins_q8)
                if decision is not None:
                    decisions.append(decision)
        return decisions

    def release(self, policy: str, device: str, fired_ms: int) -> None:
        """No action of the alert of `fired_ms` was delivered.

        It does not count for the cooldown.
        """
        for compiled in self.policies:
            if compiled.policy.name == policy:
                track = self._tracks.get((compiled.fingerprint, device))
                if track is not None and track.fired_ms == fired_ms:
                    track.fired_ms = None

    def _evaluate(
        self, compiled: CompiledPolicy, seen: Observation, margins_q8: npt.NDArray[np.int16]
    ) -> Decision | None:
        key = (compiled.fingerprint, seen.device)
        track = self._tracks.setdefault(key, _Track())
        over = margins_q8[compiled.columns].astype(np.int32) - compiled.enter_q8
        best = int(np.argmax(over))
        slack = EXIT_MARGIN_Q8 if track.present else 0
        track.observations += 1
        if over[best] + slack < 0:
            self._missed(track)
            return None
        track.misses = 0
        track.hits += 1
        if track.hits == 1:
            track.since_ms = seen.time_ms
            track.from_start = track.observations == 1
        held_ms = seen.time_ms - track.since_ms
        waiting = track.hits < CONSENSUS_FRAMES or held_ms < compiled.policy.hold_s * 1000
        if track.present or waiting:
            return None
        track.present = True
        reason = self._gate(compiled.policy, track, seen.time_ms)
        if reason == "":
            track.fired_ms = seen.time_ms
        column = int(compiled.columns[best])
        return Decision(
            id=decision_id(compiled.policy.name, seen),
            policy=compiled.policy.name,
            device=seen.device,
            fired=reason == "",
            reason=reason or "seen",
            phrase=compiled.policy.see[best],
            margin_q8=int(margins_q8[column]),
            threshold_q8=int(compiled.enter_q8[best]),
            frame=seen.frame,
            session=seen.session,
            time_ms=seen.time_ms,
        )

    @staticmethod
    def _missed(track: _Track) -> None:
        track.misses += 1
        if not track.present or track.misses >= CONSENSUS_FRAMES:
            track.present = False
            track.hits = 0

    @staticmethod
    def _gate(policy: Policy, track: _Track, time_ms: int) -> str:
        """Why an episode that has begun does not fire; empty if it does."""
        if policy.new and track.from_start:
            return "known: it was there when watching began"
        if track.fired_ms is not None:
            left_s = policy.cooldown_s - max(0, time_ms - track.fired_ms) / 1000
            if left_s > 0:
                return f"cooldown: {left_s:.0f} s left"
        return ""


def decision_id(policy: str, seen: Observation) -> str:
    """16 hex digits that name the decision of one policy on one frame."""
    text = f"{policy}\n{seen.device}\n{seen.session}\n{seen.frame}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]

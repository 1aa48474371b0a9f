"""The policy engine: (state, observations) → (state, decisions). No clock, no I/O, no randomness.

A *track* is what one policy knows of one camera. A policy whose words hold in CONSENSUS_FRAMES
frames in a row, for as long as `for:` says, begins an *episode*; each episode makes one
decision, fired or suppressed. It ends when CONSENSUS_FRAMES frames in a row do not show it.

                      seen again, long enough
      absent ──seen──▶ candidate ─────────────▶ present (decision)
        ▲                  │ one frame without      │
        └──(near miss)─────┴───── gone ◀────────────┘

With `gone:` the roles are turned: a frame counts when it does *not* show the words.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from moteye.core.decisions import Decision, Gate, decision_id, gates_of
from moteye.core.layout import CompiledPolicy, Layout
from moteye.core.track import CONSENSUS_FRAMES, EXIT_MARGIN_Q8, NEAR_MISS_EVERY_MS, Look, Track

__all__ = [
    "CONSENSUS_FRAMES",
    "EXIT_MARGIN_Q8",
    "CompiledPolicy",
    "Decision",
    "Engine",
    "Gate",
    "Observation",
    "Track",
    "decision_id",
]
Key = tuple[str, str]


@dataclass(frozen=True)
class Observation:
    """One frame of one device: which one, and when it was taken (host clock, ms).

    `late`: it came so long after it was taken that it alerts nobody.
    """

    device: str
    session: int
    number: int
    frame: int
    time_ms: int
    late: bool = False


@dataclass
class _View:
    """The tracks of one device by the policies' indices.

    `active`: those that a frame may change even when it shows nothing; `fresh`: not looked at yet.
    """

    tracks: dict[int, Track]
    active: set[int]
    fresh: set[int]


@dataclass
class Engine:
    """All tracks of all policies.

    One instance an agent; feed it observations in the order of arrival.
    """

    policies: tuple[CompiledPolicy, ...] = ()
    _tracks: dict[Key, Track] = field(default_factory=dict)
    _dirty: dict[Key, Track] = field(default_factory=dict)
    _views: dict[str, _View] = field(default_factory=dict)
    _layout: Layout = field(default_factory=lambda: Layout(()))

    def replace(self, policies: tuple[CompiledPolicy, ...]) -> None:
        """Take another list of policies. A policy that did not change keeps what it knows."""
        kept = {compiled.fingerprint for compiled in policies}
        self._tracks = {key: track for key, track in self._tracks.items() if key[0] in kept}
        self._dirty = {key: track for key, track in self._dirty.items() if key[0] in kept}
        self.policies = policies
        self._layout = Layout(policies)
        self._views.clear()

    def restore(self, tracks: dict[Key, Track]) -> None:
        """Go on with the tracks of an earlier run, by (fingerprint, device); `start` follows."""
        self._tracks = dict(tracks)
        self._views.clear()

    def start(self) -> None:
        """The agent has begun: what the next look shows is how things are, not news.

        Episodes go on; what was about to become one begins anew.
        """
        for track in self._tracks.values():
            track.fresh = True
            if not track.present:
                track.hits = track.misses = 0
        self._views.clear()

    def snapshot(self) -> dict[Key, Track]:
        """All tracks, by (fingerprint, device)."""
        return dict(self._tracks)

    def take_changed(self) -> dict[Key, Track]:
        """The tracks that changed since this was asked last."""
        changed, self._dirty = self._dirty, {}
        return changed

    def observe(
        self, observation: Observation, margins_q8: npt.NDArray[np.int16]
    ) -> list[Decision]:
        """Decide on one frame; margins int16[K] of all phrases of all policies."""
        return next(self.observe_batch([observation], margins_q8[None]))

    def observe_batch(
        self, observations: list[Observation], margins_q8: npt.NDArray[np.int16]
    ) -> Iterator[list[Decision]]:
        """Decide on many frames, one after the other; margins int16[B, K]."""
        over = self._layout.over(margins_q8)
        shown: list[list[int]] = [[] for _ in observations]
        for row, column in np.argwhere(over >= 0).tolist():
            shown[row].append(column)
        for row, seen in enumerate(observations):
            view = self._view(seen.device)
            decisions = []
            for index in sorted(view.active.union(view.fresh, shown[row])):
                track = view.tracks.get(index)
                if track is None:
                    continue
                look = Look(self.policies[index], over[row, index], margins_q8[row])
                if track.present and not (track.fresh or track.misses) and look.hits(track):
                    continue  # the usual frame of an episode changes nothing
                blank = track.blank
                decision = self._step(track, look, seen)
                if not (blank and track.blank):
                    self._dirty[self.policies[index].fingerprint, seen.device] = track
                if decision is not None:
                    decisions.append(decision)
                if track.present or track.hits:
                    view.active.add(index)
                else:
                    view.active.discard(index)
            view.fresh.clear()
            yield decisions

    def release(self, policy: str, device: str, fired_ms: int) -> None:
        """No action of the alert of `fired_ms` was delivered.

        It does not count for the cooldown.
        """
        for compiled in self.policies:
            key = (compiled.fingerprint, device)
            track = self._tracks.get(key)
            if compiled.policy.name == policy and track is not None and track.fired_ms == fired_ms:
                track.fired_ms = None
                self._dirty[key] = track

    def explain(
        self, compiled: CompiledPolicy, seen: Observation, margins_q8: npt.NDArray[np.int16]
    ) -> tuple[Look, tuple[Gate, ...]]:
        """What `compiled` makes of one more frame, gate by gate; changes nothing.

        Within an episode there is one gate more, which does not pass: it has decided already.
        """
        index = self.policies.index(compiled)
        look = Look(compiled, self._layout.over(margins_q8[None])[0, index], margins_q8)
        track = self._tracks.get((compiled.fingerprint, seen.device), Track())
        hit = look.hits(track)
        hits = track.hits + 1 if hit else 0
        since_ms = track.since_ms if track.hits else seen.time_ms
        held_ms = seen.time_ms - since_ms if hit else 0
        gates = gates_of(look, track, seen.time_ms, hits=hits, held_ms=held_ms, late=seen.late)
        if track.present and hit:
            text = f"the episode of {(seen.time_ms - track.since_ms) / 1000:.0f} s ago has decided"
            gates = (Gate("episode", False, text), *gates)
        return look, gates

    def _view(self, device: str) -> _View:
        view = self._views.get(device)
        if view is None:
            tracks = {
                index: self._tracks.setdefault((compiled.fingerprint, device), Track())
                for index, compiled in enumerate(self.policies)
                if compiled.policy.watches(device)
            }
            view = self._views[device] = _View(
                tracks,
                {index for index, track in tracks.items() if track.present or track.hits},
                {index for index, track in tracks.items() if track.fresh},
            )
        return view

    def _step(self, track: Track, look: Look, seen: Observation) -> Decision | None:
        fresh, track.fresh = track.fresh, False
        if not look.hits(track):
            return self._missed(track, look, seen)
        track.misses = 0
        if track.present:
            return None
        track.hits += 1
        if track.hits == 1:
            track.since_ms = seen.time_ms
            track.from_start = fresh
            track.peak = None
        track.last_ms = seen.time_ms
        held_ms = seen.time_ms - track.since_ms
        policy = look.compiled.policy
        if fresh or track.hits < look.frames_needed or held_ms < look.hold_ms:
            track.remember(look, seen.frame, seen.session, seen.time_ms)
            return None
        gates = gates_of(
            look, track, seen.time_ms, hits=track.hits, held_ms=held_ms, late=seen.late
        )
        track.present = True
        failed = next((gate.text for gate in gates if not gate.passed), "")
        due_ms = 0
        if failed.startswith("while") and policy.defer and look.compiled.schedule is not None:
            due_ms, failed = look.compiled.schedule.opens_ms(seen.time_ms), ""
        if not failed:
            track.fired_ms = seen.time_ms
        return Decision(
            id=decision_id(policy.name, seen.device, seen.session, seen.frame),
            policy=policy.name,
            device=seen.device,
            fired=not failed,
            reason=failed or ("deferred until `while` holds" if due_ms else "seen"),
            phrase=look.phrase,
            margin_q8=look.margin_q8,
            threshold_q8=look.threshold_q8,
            frame=seen.frame,
            session=seen.session,
            time_ms=seen.time_ms,
            gates=gates,
            due_ms=due_ms,
        )

    @staticmethod
    def _missed(track: Track, look: Look, seen: Observation) -> Decision | None:
        """A frame without: an episode may end, a candidate does, and leaves a near miss."""
        if track.present:
            track.misses += 1
            if track.misses >= CONSENSUS_FRAMES:
                track.present, track.hits, track.misses = False, 0, 0
            return None
        hits, track.hits = track.hits, 0
        peak, track.peak = track.peak, None
        quiet_ms = seen.time_ms - (track.near_ms or 0)
        if hits == 0 or peak is None or (track.near_ms and 0 <= quiet_ms < NEAR_MISS_EVERY_MS):
            return None
        track.near_ms = seen.time_ms
        at = Look(look.compiled, 0, None, peak.phrase, peak.margin_q8, peak.threshold_q8)
        held_ms = track.last_ms - track.since_ms
        gates = gates_of(at, track, peak.time_ms, hits=hits, held_ms=held_ms)
        policy = look.compiled.policy.name
        return Decision(
            id=decision_id(policy, seen.device, peak.session, peak.frame),
            policy=policy,
            device=seen.device,
            fired=False,
            reason=next((gate.text for gate in gates if not gate.passed), "first look"),
            phrase=peak.phrase,
            margin_q8=peak.margin_q8,
            threshold_q8=peak.threshold_q8,
            frame=peak.frame,
            session=peak.session,
            time_ms=peak.time_ms,
            gates=gates,
        )

"""What one look does to one track, and the decision that may come of it.

                      seen again, long enough
      absent ──seen──▶ candidate ─────────────▶ present (decision)
        ▲                  │ one frame without      │
        └──(near miss)─────┴───── gone ◀────────────┘

A frame whose margin lies too near the threshold to tell takes part in none of this.
With `gone:` the roles are turned: a frame counts when it does *not* show the words.
With `new: instance` an episode makes another decision when something comes to what is there.
"""

from dataclasses import dataclass, field

from moteye.core.background import Calibrations
from moteye.core.decisions import Decision, Ending, Gate, decision_id, gates_of
from moteye.core.layout import CompiledPolicy
from moteye.core.look import Look
from moteye.core.marks import Marks
from moteye.core.novelty import News, Novelty
from moteye.core.seen import Observation
from moteye.core.standing import Key, Standing, shared_keys, shared_of
from moteye.core.track import (
    CONSENSUS_FRAMES,
    NEAR_MISS_EVERY_MS,
    Episode,
    Peak,
    Track,
)
from moteye.core.views import Views

_NOT_FOR_UPGRADES = ("cooldown", "group")


@dataclass
class Episodes:
    """All that decisions rest on beside the frame: tracks, memories, marks, states.

    `ahead_ms` is how far the wall clock, which windows of `while:` go by, is ahead of the
    observations' time. `dirty` are the tracks whose lasting part changed, `ended` the episodes
    that did, of policies with `finally` or `else`.
    """

    ahead_ms: int = 0
    novelty: Novelty = field(default_factory=Novelty)
    calibrations: Calibrations = field(default_factory=Calibrations)
    marks: Marks = field(default_factory=Marks)
    views: Views = field(default_factory=Views)
    standing: Standing = field(default_factory=Standing)
    dirty: dict[Key, Track] = field(default_factory=dict)
    ended: list[Ending] = field(default_factory=list)

    def gates(
        self,
        look: Look,
        track: Track,
        seen: Observation,
        hits: int,
        held_ms: float,
        news: News | None = None,
        unsure: bool = False,
    ) -> tuple[Gate, ...]:
        """Every gate between this look and an alert."""
        rule = look.compiled
        closed = ""
        if rule.waits:
            if rule.schedule is not None:
                closed = rule.schedule.closed(seen.time_ms + self.ahead_ms)
            closed = self.standing.closed(rule.policy, seen.device) or closed
        calibration = None if rule.hears else self.calibrations.all.get(seen.device)
        return gates_of(
            look,
            track,
            seen.time_ms,
            hits=hits,
            held_ms=held_ms,
            closed=closed,
            shared=shared_of(rule, seen.device, self.views.tracks) if rule.shares else None,
            late=seen.late,
            news=news,
            calibration="" if calibration is None else str(calibration),
            marked=self.marks.against(rule.policy, seen, look.margin_q8) if self.marks.all else "",
            unsure=unsure,
        )

    def step(self, track: Track, look: Look, seen: Observation) -> Decision | None:
        """Take one look into a track."""
        rule, said = look.compiled, look.says(track)
        fresh, track.fresh = track.fresh, False
        new = rule.remembers
        if new is not None:
            self.novelty.memory(rule, seen)
        if said == 0:  # neither one more nor one without, and nothing to remember
            return None
        if said < 0:
            return self._missed(track, look, seen)
        track.misses = 0
        if track.present:
            came = self._came_to_it(track, look, seen, fresh=fresh)
            return came or self._upgraded(track, look, seen)
        track.hits += 1
        if track.hits == 1:
            track.since_ms = seen.time_ms
            track.from_start = fresh
            track.peak = None
        track.last_ms = seen.time_ms
        held_ms = seen.time_ms - track.since_ms
        if fresh or track.hits < rule.frames_needed or held_ms < rule.hold_ms:
            best = track.peak
            if best is None or look.margin_q8 > best.margin_q8:
                track.peak = Peak(*look.found, seen.frame, seen.session, seen.time_ms)
            return None
        news = self.novelty.judge(new, look, seen) if new is not None else None
        decision = self._decided(track, look, seen, held_ms, news)
        self._begin_episode(track, rule, decision)
        return decision

    def _came_to_it(
        self, track: Track, look: Look, seen: Observation, *, fresh: bool
    ) -> Decision | None:
        """With `new: instance`: something may have come to what the episode is about."""
        new = look.compiled.remembers
        if new is None or new.of != "instance":
            return None
        news = self.novelty.during(new, look, seen, fresh=fresh)
        if news is None:
            return None
        track.from_start = False
        decision = self._decided(track, look, seen, look.compiled.hold_ms, news)
        if decision.fired:
            self._count_alert(track, look.compiled, decision)
        return decision

    def _decided(
        self, track: Track, look: Look, seen: Observation, held_ms: float, news: News | None
    ) -> Decision:
        """The decision of an episode that begins with this frame, or of what came to one."""
        rule, policy = look.compiled, look.compiled.policy
        gates = self.gates(look, track, seen, track.hits, held_ms, news)
        if news is not None and rule.remembers is not None:
            self.novelty.learn(rule.remembers, look, seen, news)
        failed = next((gate for gate in gates if not gate.passed), None)
        due_ms, reason = 0, failed.text if failed else "seen"
        if failed is not None and failed.name == "while" and policy.defer and rule.schedule:
            other = self.standing.closed(policy, seen.device)
            if not other:
                due_ms, reason = (
                    rule.schedule.opens_ms(seen.time_ms + self.ahead_ms),
                    "deferred until `while` holds",
                )
                failed = None
        return _decision(look, seen, gates, reason, fired=failed is None, due_ms=due_ms)

    def _begin_episode(self, track: Track, rule: CompiledPolicy, decision: Decision) -> None:
        policy, device = rule.policy, decision.device
        track.present, track.rises = True, 0
        self.standing.episode(policy.name, (rule.fingerprint, device), present=True)
        if policy.finally_ or policy.else_:
            track.episode = Episode(
                decision.id,
                decision.time_ms,
                decision.fired,
                decision.phrase,
                decision.margin_q8,
                decision.threshold_q8,
                decision.frame,
                decision.session,
                track.since_ms,
            )
        if decision.fired:
            self._count_alert(track, rule, decision)

    def _count_alert(self, track: Track, rule: CompiledPolicy, decision: Decision) -> None:
        """From here on its cooldown runs."""
        track.fired_ms = decision.time_ms
        for place in shared_keys(rule.policy, decision.device):
            key = (rule.common, place)
            shared = self.views.tracks.setdefault(key, Track())
            shared.fired_ms = decision.time_ms
            self.dirty[key] = shared

    def _upgraded(self, track: Track, look: Look, seen: Observation) -> Decision | None:
        """One alert more in an episode that has become so certain, once, cooldown or not."""
        upgrade = look.compiled.policy.upgrade
        if upgrade is None or track.rises < 0:
            return None
        rising = look.rising
        if rising:
            track.rises = track.rises + 1 if rising > 0 else 0
        if track.rises < look.compiled.frames_needed:
            return None
        track.rises = -1
        held_ms = seen.time_ms - track.since_ms
        gates = self.gates(look, track, seen, track.hits, held_ms)
        gates = tuple(gate for gate in gates if gate.name not in _NOT_FOR_UPGRADES)
        failed = _failed(gates)
        gates = (*gates, Gate("severity", True, upgrade.severity))
        reason = failed or f"upgraded to {upgrade.severity}"
        return _decision(look, seen, gates, reason, fired=not failed)

    def _missed(self, track: Track, look: Look, seen: Observation) -> Decision | None:
        """A frame without: an episode may end, a candidate does, and leaves a near miss."""
        was_present = track.present
        if was_present:
            self._missing(track, look, seen)
        new = look.compiled.remembers
        if new is not None:
            self.novelty.absent(new, look, seen, ended=was_present and not track.present)
        if was_present:
            return None
        hits, track.hits = track.hits, 0
        peak, track.peak = track.peak, None
        if hits == 0 or peak is None:
            return None
        quiet_ms = seen.time_ms - (track.near_ms or 0)
        if track.near_ms and 0 <= quiet_ms < NEAR_MISS_EVERY_MS:
            return None
        track.near_ms = seen.time_ms
        found = (peak.phrase, peak.margin_q8, peak.threshold_q8)
        at = Look(look.compiled, 0, None, found)
        held_ms = track.last_ms - track.since_ms
        then = Observation(seen.device, peak.session, seen.number, peak.frame, peak.time_ms)
        gates = self.gates(at, track, then, hits, held_ms)
        reason = _failed(gates) or "first look"
        return _decision(at, then, gates, reason, fired=False)

    def _missing(self, track: Track, look: Look, seen: Observation) -> None:
        """A frame without in an episode, which ends it when there were enough for long enough."""
        policy = look.compiled.policy
        track.misses += 1
        track.rises = min(track.rises, 0)
        if track.misses == 1:
            track.last_ms = seen.time_ms
        away_ms = seen.time_ms - track.last_ms
        if track.misses < CONSENSUS_FRAMES or away_ms < 1000 * policy.linger_s:
            return
        track.present, track.hits, track.misses, track.rises = False, 0, 0, 0
        key = (look.compiled.fingerprint, seen.device)
        self.standing.episode(policy.name, key, present=False)
        episode, track.episode = track.episode, None
        if episode is not None:
            self.ended.append(Ending(policy.name, seen.device, episode, track.last_ms))


def _failed(gates: tuple[Gate, ...]) -> str:
    """What the first gate says that does not pass; empty for none."""
    for gate in gates:
        if not gate.passed:
            return gate.text
    return ""


def _decision(
    look: Look,
    seen: Observation,
    gates: tuple[Gate, ...],
    reason: str,
    *,
    fired: bool,
    due_ms: int = 0,
) -> Decision:
    policy = look.compiled.policy
    phrase, margin_q8, threshold_q8 = look.found
    named = f"{policy.name}/{phrase}" if "class" in policy.cooldown.per else policy.name
    return Decision(
        decision_id(named, seen.device, seen.session, seen.frame),
        policy.name,
        seen.device,
        fired,
        reason,
        phrase,
        margin_q8,
        threshold_q8,
        seen.frame,
        seen.session,
        seen.time_ms,
        gates,
        due_ms,
    )

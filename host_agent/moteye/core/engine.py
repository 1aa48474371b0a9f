"""The policy engine: (state, observations) → (state, decisions). No clock, no I/O, no randomness.

A *track* is what one policy knows of one camera. A policy whose words hold in CONSENSUS_FRAMES
frames in a row, for as long as `for:` says, begins an *episode*; each episode makes one
decision, fired or suppressed. It ends when CONSENSUS_FRAMES frames in a row do not show it.

                      seen again, long enough
      absent ──seen──▶ candidate ─────────────▶ present (decision)
        ▲                  │ one frame without      │
        └──(near miss)─────┴───── gone ◀────────────┘

With `gone:` the roles are turned: a frame counts when it does *not* show the words.
With `new: instance` an episode makes another decision when something comes to what is there.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from moteye.core.background import ONE_Q12, CameraCalibration, mapped_q8
from moteye.core.boxes import Box, look_at_boxes
from moteye.core.change import Scene
from moteye.core.decisions import Decision, Ending, Gate, decision_id, gates_of
from moteye.core.language import New
from moteye.core.layout import NEVER, CompiledPolicy, Layout
from moteye.core.marks import Mark, Marks
from moteye.core.novelty import News, Novelty
from moteye.core.seen import Observation
from moteye.core.standing import Key, Standing, shared_keys, shared_of
from moteye.core.track import (
    CONSENSUS_FRAMES,
    EXIT_MARGIN_Q8,
    NEAR_MISS_EVERY_MS,
    Episode,
    Look,
    Track,
)
from moteye.core.views import Views

__all__ = [
    "CONSENSUS_FRAMES",
    "EXIT_MARGIN_Q8",
    "Box",
    "CompiledPolicy",
    "Decision",
    "Ending",
    "Engine",
    "Gate",
    "Observation",
    "Track",
    "decision_id",
]
Int16 = npt.NDArray[np.int16]
Int64 = npt.NDArray[np.int64]
_NOT_FOR_UPGRADES = ("cooldown", "group")


@dataclass
class Engine:
    """All tracks of all policies.

    One instance an agent; feed it observations in the order of arrival. `ahead_ms` is how far the
    wall clock, which windows of `while:` go by, is ahead of the observations' time.
    """

    policies: tuple[CompiledPolicy, ...] = ()
    ahead_ms: int = 0
    novelty: Novelty = field(default_factory=Novelty)
    calibrations: dict[str, CameraCalibration] = field(default_factory=dict)
    marks: Marks = field(default_factory=Marks)
    _rules: tuple[CompiledPolicy, ...] = ()
    _views: Views = field(default_factory=Views)
    _dirty: dict[Key, Track] = field(default_factory=dict)
    _layout: Layout = field(default_factory=lambda: Layout(()))
    _standing: Standing = field(default_factory=Standing)
    _ended: list[Ending] = field(default_factory=list)
    _maps: dict[str, tuple[Int64, Int64]] = field(default_factory=dict)

    def replace(self, policies: tuple[CompiledPolicy, ...]) -> None:
        """Take another list of policies. A policy that did not change keeps what it knows."""
        self.policies = policies
        self._rules = tuple(part for compiled in policies for part in compiled.parts())
        kept = self.fingerprints
        self._views.replace(self._rules)
        self._dirty = {key: track for key, track in self._dirty.items() if key[0] in kept}
        self._layout = Layout(self._rules)
        self._standing.begin(self._rules, self._views.tracks)
        self._maps.clear()

    @property
    def fingerprints(self) -> set[str]:
        """Of all policies, as their tracks have them."""
        return {rule.fingerprint for rule in self._rules}

    @property
    def in_force(self) -> bytes:
        """Which policies there are, for a recording: [name, fingerprint] each, as JSON."""
        named = sorted((item.policy.name, item.fingerprint) for item in self.policies)
        return json.dumps(named, ensure_ascii=False, separators=(",", ":")).encode()

    @property
    def topics(self) -> set[str]:
        """MQTT topics that a `while:` asks for."""
        return self._standing.topics

    def restore(self, tracks: dict[Key, Track]) -> None:
        """Go on with the tracks of an earlier run, by (fingerprint, device); `start` follows."""
        self._views.restore(tracks)
        self._standing.begin(self._rules, tracks)

    def start(self) -> None:
        """The agent has begun: what the next look shows is how things are, not news.

        Episodes go on; what was about to become one begins anew. MQTT states are not known.
        """
        self.ahead_ms = 0
        self._views.start()
        self._standing.facts.clear()
        self.novelty.start()

    def calibrate(self, calibration: CameraCalibration) -> None:
        """From the next frame on, a camera's margins are taken by its own background."""
        self.calibrations[calibration.device] = calibration
        self._maps.pop(calibration.device, None)

    def mark(self, mark: Mark) -> None:
        """From the next frame on, what somebody said counts; or, undone, does not."""
        self.marks.put(mark)
        if mark.verdict == "name" and not mark.undone_ms:
            seen = Observation(
                *(mark.device, 0, 0, 0, mark.time_ms),
                embedding=mark.embedding,
                infrared=mark.infrared,
            )
            for rule in self._rules:
                if rule.policy.name == mark.policy:
                    self.novelty.call(rule.memory, mark.device, seen, mark.name)

    def own_q8(self, observations: list[Observation], margins_q8: Int16) -> Int16:
        """Margins int16[B, K], those of calibrated cameras by their own background."""
        if not self.calibrations:
            return margins_q8
        own = margins_q8.copy()
        for device in {seen.device for seen in observations} & self.calibrations.keys():
            rows = [row for row, seen in enumerate(observations) if seen.device == device]
            own[rows] = mapped_q8(margins_q8[rows], *self._map_of(device, margins_q8.shape[1]))
        return own

    def _map_of(self, device: str, columns: int) -> tuple[Int64, Int64]:
        if device not in self._maps:
            mult, offset = np.full(columns, ONE_Q12, np.int64), np.zeros(columns, np.int64)
            maps = self.calibrations[device].maps
            for compiled in self.policies:
                for phrase, column in zip(compiled.policy.phrases, compiled.columns, strict=True):
                    mult[column], offset[column] = maps.get(phrase, (ONE_Q12, 0))
            self._maps[device] = mult, offset
        return self._maps[device]

    def tell(self, topic: str, text: str) -> bool:
        """A message on one of `topics`; returns whether that is news."""
        if topic not in self.topics or self._standing.facts.get(topic) == text:
            return False
        self._standing.facts[topic] = text
        return True

    def snapshot(self) -> dict[Key, Track]:
        """All tracks, by (fingerprint, device)."""
        return dict(self._views.tracks)

    def present(self, device: str) -> set[str]:
        """The names of the policies with an episode under way on a device."""
        tracks = self._views.of(device).tracks
        return {self.policies[i].policy.name for i, track in tracks.items() if track.present}

    def take_changed(self) -> dict[Key, Track]:
        """The tracks that changed since this was asked last."""
        changed, self._dirty = self._dirty, {}
        return changed

    def take_ended(self) -> list[Ending]:
        """The episodes that ended since this was asked last, of policies with `finally` or else."""
        ended, self._ended = self._ended, []
        return ended

    def observe(self, observation: Observation, margins_q8: Int16) -> list[Decision]:
        """Decide on one frame; margins int16[K] of all phrases of all policies."""
        return next(self.observe_batch([observation], margins_q8[None]))

    def observe_batch(
        self, observations: list[Observation], margins_q8: Int16
    ) -> Iterator[list[Decision]]:
        """Decide on many frames, one after the other; margins int16[B, K]."""
        margins_q8 = self.own_q8(observations, margins_q8)
        over = self._layout.over(margins_q8)
        shown: list[list[int]] = [[] for _ in observations]
        for row, column in np.argwhere(over >= 0).tolist():
            shown[row].append(column)
        for row, seen in enumerate(observations):
            view = self._views.of(seen.device)
            scope = view.scope
            apart: dict[int, Look] = {}
            for index in scope.apart:
                apart[index] = self._look_apart(index, seen, margins_q8.shape[1])
            decisions = []
            wanted = scope.watched.intersection(shown[row]).union(view.active, scope.always)
            wanted |= scope.first.intersection(view.fresh).union(scope.apart)
            for index in sorted(wanted):
                track = self._views.track(view, index, seen.device)
                rule = self._rules[index]
                look = apart.get(index) or Look(rule, over[row, index], margins_q8[row])
                steady = track.present and not (track.fresh or track.misses) and look.hits(track)
                rising = rule.upgrade_q8 is not None and track.rises >= 0
                if steady and not rising and index not in scope.always:
                    continue  # the usual frame of an episode changes nothing
                blank = track.blank
                decision = self._step(track, look, seen)
                if not (blank and track.blank):
                    self._dirty[rule.fingerprint, seen.device] = track
                if decision is not None:
                    decisions.append(decision)
                if track.present or track.hits:
                    view.active.add(index)
                else:
                    view.active.discard(index)
            self._views.looked(view, seen.device)
            yield decisions

    def release(self, policy: str, device: str, fired_ms: int) -> None:
        """No action of the alert of `fired_ms` was delivered.

        It does not count for the cooldown.
        """
        for rule in self._rules:
            if rule.policy.name != policy:
                continue
            for place in (device, *shared_keys(rule.policy, device)):
                key = (rule.fingerprint, place)
                track = self._views.tracks.get(key)
                if track is not None and track.fired_ms == fired_ms:
                    track.fired_ms = None
                    self._dirty[key] = track

    def explain(
        self, compiled: CompiledPolicy, seen: Observation, margins_q8: Int16
    ) -> tuple[Look, tuple[Gate, ...]]:
        """What `compiled` makes of one more frame, gate by gate; changes nothing.

        Within an episode there is one gate more, which does not pass: it has decided already. Of a
        policy with a cooldown per class the class that comes nearest is told.
        """
        margins_q8 = self.own_q8([seen], margins_q8[None])[0]
        names = {part.fingerprint for part in compiled.parts()}
        looks = [
            self._look(index, seen, margins_q8)
            for index, rule in enumerate(self._rules)
            if rule.fingerprint in names
        ]
        look = max(looks, key=lambda one: one.over)
        track = self._views.tracks.get((look.compiled.fingerprint, seen.device), Track())
        hit = look.hits(track)
        hits = track.hits + 1 if hit else 0
        since_ms = track.since_ms if track.hits else seen.time_ms
        held_ms = seen.time_ms - since_ms if hit else 0
        new = compiled.policy.new
        news = self.novelty.judge(new, look, seen) if isinstance(new, New) and hit else None
        gates = self._gates(look, track, seen, hits, held_ms, news)
        if track.present and hit:
            text = f"the episode of {(seen.time_ms - track.since_ms) / 1000:.0f} s ago has decided"
            gates = (Gate("episode", False, text), *gates)
        return look, gates

    def _look(self, index: int, seen: Observation, margins_q8: Int16) -> Look:
        rule = self._rules[index]
        if rule.policy.boxed:
            return look_at_boxes(rule, seen.device, seen.boxes, len(margins_q8))
        if rule.policy.changes is not None:
            return self._look_at_change(rule, seen)
        return Look(rule, self._layout.over(margins_q8[None])[0, index], margins_q8)

    def _look_apart(self, index: int, seen: Observation, columns: int) -> Look:
        """The look of a rule whose margins do not tell; a scene takes the frame in."""
        rule = self._rules[index]
        if rule.policy.changes is None:
            return look_at_boxes(rule, seen.device, seen.boxes, columns)
        look = self._look_at_change(rule, seen)
        if seen.embedding:
            frame = np.frombuffer(seen.embedding, np.int8)
            key = (rule.fingerprint, seen.device)
            track, over_ms = self._views.tracks[key], int(1000 * rule.policy.changes.over_s)
            scene = track.scene
            track.scene = (
                Scene.first(frame, seen.time_ms)
                if scene is None
                else scene.after(frame, seen.time_ms, over_ms)
            )
            self._dirty[key] = track
        return look

    def _look_at_change(self, rule: CompiledPolicy, seen: Observation) -> Look:
        assert rule.policy.changes is not None
        track = self._views.tracks.get((rule.fingerprint, seen.device))
        scene = None if track is None else track.scene
        ratio_q8 = 0
        if scene is not None and seen.embedding:
            ratio_q8 = scene.ratio_q8(np.frombuffer(seen.embedding, np.int8))
        wanted_q8 = 256 * rule.policy.changes.times
        over = ratio_q8 - wanted_q8 if scene is not None else -NEVER
        return Look(rule, over, None, "a change of the scene", ratio_q8, wanted_q8)

    def _gates(
        self,
        look: Look,
        track: Track,
        seen: Observation,
        hits: int,
        held_ms: float,
        news: News | None = None,
    ) -> tuple[Gate, ...]:
        rule, time_ms = look.compiled, seen.time_ms
        wall_ms = time_ms + self.ahead_ms
        closed = rule.schedule.closed(wall_ms) if rule.schedule is not None else ""
        closed = self._standing.closed(rule.policy, seen.device) or closed
        return gates_of(
            look,
            track,
            time_ms,
            hits=hits,
            held_ms=held_ms,
            closed=closed,
            shared=shared_of(rule, seen.device, self._views.tracks),
            late=seen.late,
            news=news,
            calibration=str(self.calibrations.get(seen.device, "")),
            marked=self.marks.against(rule.policy, seen, look.margin_q8) if self.marks.all else "",
        )

    def _step(self, track: Track, look: Look, seen: Observation) -> Decision | None:
        fresh, track.fresh = track.fresh, False
        if isinstance(look.compiled.policy.new, New):
            self.novelty.memory(look.compiled, seen)
        if not look.hits(track):
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
        if fresh or track.hits < look.frames_needed or held_ms < look.hold_ms:
            track.remember(look, seen.frame, seen.session, seen.time_ms)
            return None
        new = look.compiled.policy.new
        news = self.novelty.judge(new, look, seen) if isinstance(new, New) else None
        decision = self._decided(track, look, seen, held_ms, news)
        self._begin_episode(track, look.compiled, decision)
        return decision

    def _came_to_it(
        self, track: Track, look: Look, seen: Observation, *, fresh: bool
    ) -> Decision | None:
        """With `new: instance`: something may have come to what the episode is about."""
        new = look.compiled.policy.new
        if not (isinstance(new, New) and new.of == "instance"):
            return None
        news = self.novelty.during(new, look, seen, fresh=fresh)
        if news is None:
            return None
        track.from_start = False
        decision = self._decided(track, look, seen, look.hold_ms, news)
        if decision.fired:
            self._count_alert(track, look.compiled, decision)
        return decision

    def _decided(
        self, track: Track, look: Look, seen: Observation, held_ms: float, news: News | None
    ) -> Decision:
        """The decision of an episode that begins with this frame, or of what came to one."""
        rule, policy = look.compiled, look.compiled.policy
        gates = self._gates(look, track, seen, track.hits, held_ms, news)
        if news is not None and isinstance(policy.new, New):
            self.novelty.learn(policy.new, look, seen, news)
        failed = next((gate for gate in gates if not gate.passed), None)
        due_ms, reason = 0, failed.text if failed else "seen"
        if failed is not None and failed.name == "while" and policy.defer and rule.schedule:
            other = self._standing.closed(policy, seen.device)
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
        self._standing.episode(policy.name, (rule.fingerprint, device), present=True)
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
            key = (rule.fingerprint, place)
            shared = self._views.tracks.setdefault(key, Track())
            shared.fired_ms = decision.time_ms
            self._dirty[key] = shared

    def _upgraded(self, track: Track, look: Look, seen: Observation) -> Decision | None:
        """One alert more in an episode that has become so certain, once, cooldown or not."""
        upgrade = look.compiled.policy.upgrade
        if upgrade is None or track.rises < 0:
            return None
        track.rises = track.rises + 1 if look.rises else 0
        if track.rises < look.frames_needed:
            return None
        track.rises = -1
        held_ms = seen.time_ms - track.since_ms
        gates = self._gates(look, track, seen, track.hits, held_ms)
        gates = tuple(gate for gate in gates if gate.name not in _NOT_FOR_UPGRADES)
        failed = next((gate.text for gate in gates if not gate.passed), "")
        gates = (*gates, Gate("severity", True, upgrade.severity))
        reason = failed or f"upgraded to {upgrade.severity}"
        return _decision(look, seen, gates, reason, fired=not failed)

    def _missed(self, track: Track, look: Look, seen: Observation) -> Decision | None:
        """A frame without: an episode may end, a candidate does, and leaves a near miss."""
        was_present = track.present
        if was_present:
            self._missing(track, look, seen)
        new = look.compiled.policy.new
        if isinstance(new, New):
            self.novelty.absent(new, look, seen, ended=was_present and not track.present)
        if was_present:
            return None
        hits, track.hits = track.hits, 0
        peak, track.peak = track.peak, None
        quiet_ms = seen.time_ms - (track.near_ms or 0)
        if hits == 0 or peak is None or (track.near_ms and 0 <= quiet_ms < NEAR_MISS_EVERY_MS):
            return None
        track.near_ms = seen.time_ms
        at = Look(look.compiled, 0, None, peak.phrase, peak.margin_q8, peak.threshold_q8)
        held_ms = track.last_ms - track.since_ms
        then = Observation(seen.device, peak.session, seen.number, peak.frame, peak.time_ms)
        gates = self._gates(at, track, then, hits, held_ms)
        reason = next((gate.text for gate in gates if not gate.passed), "first look")
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
        self._standing.episode(policy.name, key, present=False)
        episode, track.episode = track.episode, None
        if episode is not None:
            self._ended.append(Ending(policy.name, seen.device, episode, track.last_ms))


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
    named = f"{policy.name}/{look.phrase}" if "class" in policy.cooldown.per else policy.name
    return Decision(
        id=decision_id(named, seen.device, seen.session, seen.frame),
        policy=policy.name,
        device=seen.device,
        fired=fired,
        reason=reason,
        phrase=look.phrase,
        margin_q8=look.margin_q8,
        threshold_q8=look.threshold_q8,
        frame=seen.frame,
        session=seen.session,
        time_ms=seen.time_ms,
        gates=gates,
        due_ms=due_ms,
    )

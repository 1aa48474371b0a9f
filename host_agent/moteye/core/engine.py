"""The policy engine: (state, observations) → (state, decisions). No clock, no I/O, no randomness.

A *track* is what one policy knows of one camera. A policy whose words hold in CONSENSUS_FRAMES
frames in a row, for as long as `for:` says, begins an *episode*; each episode makes one
decision, fired or suppressed. It ends when CONSENSUS_FRAMES frames in a row do not show it.
What one frame does to one track stands in `episodes.py`; which tracks a frame concerns, here.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from moteye.core.background import CameraCalibration
from moteye.core.boxes import Box, look_at_boxes
from moteye.core.change import Scene
from moteye.core.decisions import Decision, Ending, Gate, decision_id
from moteye.core.episodes import Episodes
from moteye.core.hearing import Caption, begin_anew, follow, is_unclear, look_at_caption
from moteye.core.language import New
from moteye.core.layout import NEVER, CompiledPolicy, Layout
from moteye.core.look import Look
from moteye.core.marks import Mark
from moteye.core.seen import Observation
from moteye.core.standing import Key, shared_keys
from moteye.core.track import CONSENSUS_FRAMES, EXIT_MARGIN_Q8, Track
from moteye.core.views import View

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
Indices = set[int] | frozenset[int]  # of rules
_NONE: Indices = frozenset()


@dataclass
class Engine(Episodes):
    """All tracks of all policies.

    One instance an agent; feed it observations in the order of arrival.
    """

    policies: tuple[CompiledPolicy, ...] = ()
    _rules: tuple[CompiledPolicy, ...] = ()
    _layout: Layout = field(default_factory=lambda: Layout(()))

    def replace(self, policies: tuple[CompiledPolicy, ...]) -> None:
        """Take another list of policies. A policy that did not change keeps what it knows."""
        self.policies = policies
        self._rules = tuple(part for compiled in policies for part in compiled.parts())
        kept = self.fingerprints
        self.views.replace(self._rules)
        self.dirty = {key: track for key, track in self.dirty.items() if key[0] in kept}
        self._layout = Layout(self._rules)
        self.standing.begin(self._rules, self.views.tracks)
        self.calibrations.columns_are(
            {
                phrase: column
                for compiled in policies
                if not compiled.hears
                for phrase, column in zip(
                    compiled.policy.phrases, compiled.columns.tolist(), strict=True
                )
            }
        )

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
    def memories_kept(self) -> set[str]:
        """The names of the memories that the policies in force may ask for."""
        return {rule.memory for rule in self._rules if isinstance(rule.policy.new, New)}

    @property
    def topics(self) -> set[str]:
        """MQTT topics that a `while:` asks for."""
        return self.standing.topics

    def restore(self, tracks: dict[Key, Track]) -> None:
        """Go on with the tracks of an earlier run, by (fingerprint, device); `start` follows."""
        self.views.restore(tracks)
        self.standing.begin(self._rules, tracks)

    def start(self) -> None:
        """The agent has begun: what the next look shows is how things are, not news.

        Episodes go on; what was about to become one begins anew. MQTT states are not known.
        """
        self.ahead_ms = 0
        self.views.start()
        self.standing.facts.clear()
        self.novelty.start()

    def calibrate(self, calibration: CameraCalibration) -> None:
        """From the next frame on, a camera's margins are taken by its own background."""
        self.calibrations.put(calibration)

    def mark(self, mark: Mark) -> None:
        """From the next frame on, what somebody said counts; or, undone, does not."""
        self.marks.put(mark)
        if mark.verdict == "name" and not mark.undone_ms:
            seen = Observation(
                *(mark.device, 0, 0, 0, mark.time_ms),
                embedding=mark.embedding,
                infrared=mark.infrared,
            )
            encoder = self.views.encoders.get(mark.device, b"")
            for rule in self._rules:
                if rule.policy.name == mark.policy and rule.encoder in (b"", encoder):
                    self.novelty.call(rule.memory, mark.device, seen, mark.name)

    def own_q8(self, observations: list[Observation], margins_q8: Int16) -> Int16:
        """Margins int16[B, K], those of calibrated cameras by their own background."""
        return self.calibrations.own_q8([seen.device for seen in observations], margins_q8)

    def tell(self, topic: str, text: str) -> bool:
        """A message on one of `topics`; returns whether that is news."""
        if topic not in self.topics or self.standing.facts.get(topic) == text:
            return False
        self.standing.facts[topic] = text
        return True

    def snapshot(self) -> dict[Key, Track]:
        """All tracks, by (fingerprint, device)."""
        return dict(self.views.tracks)

    def lasting(self) -> dict[Key, Track]:
        """Those that must outlive a restart."""
        return {key: track for key, track in self.views.tracks.items() if track.lasting}

    def present(self, device: str) -> set[str]:
        """The names of the policies with an episode under way on a device."""
        views = (self.views.of(device), self.views.listening(device))
        return {
            self._rules[i].policy.name
            for view in views
            if view is not None
            for i, track in view.tracks.items()
            if track.present
        }

    def take_changed(self) -> dict[Key, Track]:
        """The tracks that changed, in what must outlive a restart, since this was asked last."""
        changed, self.dirty = self.dirty, {}
        return changed

    def take_ended(self) -> list[Ending]:
        """The episodes that ended since this was asked last, of policies with `finally` or else."""
        ended, self.ended = self.ended, []
        return ended

    def observe(self, observation: Observation, margins_q8: Int16) -> list[Decision]:
        """Decide on one frame; margins int16[K] of all phrases of all policies."""
        return next(self.observe_batch([observation], margins_q8[None]))

    def observe_batch(
        self, observations: list[Observation], margins_q8: Int16
    ) -> Iterator[list[Decision]]:
        """Decide on many frames, one after the other; margins int16[B, K]."""
        if observations:
            self.views.make_room(observations[0].time_ms)
        # A camera's own margins are never above the others: a frame that shows a plain policy
        # nothing by these shows it nothing by its own, which need not be computed then.
        if self._layout.mixed:
            margins_q8 = self.own_q8(observations, margins_q8)
        shown = self._layout.shown(margins_q8)
        for row, seen in enumerate(observations):
            if self.views.mixed and self.views.encoders.get(seen.device) != seen.encoder:
                self._meet(seen.device, seen.encoder)
            view = self.views.of(seen.device)
            scope = view.scope
            wanted = scope.watched.intersection(shown[row]) if shown[row] else _NONE
            if wanted or view.active or view.fresh or scope.needs_all:
                sure = view.active
                if scope.needs_all:
                    sure = sure.union(scope.always, scope.apart)
                if view.fresh:
                    sure = sure.union(scope.first.intersection(view.fresh))
                margins = margins_q8[row]
                if not self._layout.mixed:
                    margins = self.calibrations.row_q8(seen.device, margins)
                decisions = self._decide(view, seen, margins, wanted, sure)
            else:
                decisions = []
            self.views.looked(view, seen.device)
            yield decisions

    def _meet(self, device: str, encoder: bytes) -> None:
        """A camera's first frame by this encoder: what it knew by another one is gone."""
        if device in self.views.encoders:
            self.calibrations.forget(device)
        self.views.encoder_is(device, encoder)
        for rule in self._rules:
            key = (rule.fingerprint, device)
            if rule.hears or rule.encoder in (b"", encoder):
                continue
            if self.views.tracks.pop(key, None) is not None:
                self.standing.episode(rule.policy.name, key, present=False)
                self.dirty[key] = Track()

    def _decide(
        self, view: View, seen: Observation, margins_q8: Int16, shown: Indices, sure: Indices
    ) -> list[Decision]:
        """The decisions of the rules on one frame whose margins int16[K] are the camera's own.

        They are those that it may show something, and the `sure`, which it concerns anyway.
        """
        scope, decisions = view.scope, []
        apart: dict[int, Look] = {}
        if scope.apart:
            width = len(margins_q8)
            apart = {index: self._look_apart(index, seen, width) for index in scope.apart}
        rules, tracks = self._rules, view.tracks
        for index in sorted(sure.union(shown)):
            rule, track = rules[index], tracks.get(index)
            look = apart.get(index) if apart else None
            if look is None:
                missed = rule.forgets and index not in shown and track and track.is_candidate
                look = Look.nothing(rule) if missed else Look.at(rule, margins_q8)
            least = 0 if index in view.fresh else look.band
            if look.over < least and index not in sure:
                continue
            track = track or self.views.track(view, index, seen.device)
            if track.present and not (track.fresh or track.misses) and look.says(track) >= 0:
                rising = rule.upgrade_q8 is not None and track.rises >= 0
                if not rising and index not in scope.always:
                    continue  # the usual frame of an episode changes nothing
            decision = self._stepped(view, index, track, look, seen)
            if decision is not None:
                decisions.append(decision)
        return decisions

    def _stepped(
        self, view: View, index: int, track: Track, look: Look, seen: Observation
    ) -> Decision | None:
        """Take a look into a track, and note what became of the track."""
        present, rises = track.present, track.rises
        decision = self.step(track, look, seen)
        # A candidate begins anew after a restart; of an episode each decision counts.
        if track.present is not present or track.rises != rises or (decision and present):
            self.dirty[look.compiled.fingerprint, seen.device] = track
        if track.present or track.hits:
            view.active.add(index)
        else:
            view.active.discard(index)
        return decision

    def hear(self, caption: Caption, margins_q8: Int16) -> list[Decision]:
        """Decide on one caption; margins int16[C] of all phrases that captions are asked for."""
        view = self.views.listening(caption.device)
        if view is None:
            return []
        decisions = []
        for index in sorted(view.scope.watched):
            rule = self._rules[index]
            if rule.encoder != caption.encoder:
                continue
            track = self.views.track(view, index, caption.device)
            begin_anew(rule, track, caption.time_ms)
            look = look_at_caption(rule, track, caption, margins_q8)
            decision = self._stepped(view, index, track, look, caption)
            if rule.policy.changes is not None and follow(look, track, caption):
                self.dirty[rule.fingerprint, caption.device] = track
            if decision is not None:
                decisions.append(decision)
        self.views.listened(view, caption.device)
        return decisions

    def is_unclear(self, device: str) -> bool:
        """Whether one more caption of a device would tell what its last one alone does not."""
        view = self.views.listening(device)
        return view is not None and any(map(is_unclear, view.tracks.values()))

    def release(self, policy: str, device: str, fired_ms: int) -> None:
        """No action of the alert of `fired_ms` was delivered.

        It does not count for the cooldown.
        """
        for rule in self._rules:
            if rule.policy.name != policy:
                continue
            own = (rule.fingerprint, device)
            for key in (own, *((rule.common, at) for at in shared_keys(rule.policy, device))):
                track = self.views.tracks.get(key)
                if track is not None and track.fired_ms == fired_ms:
                    track.fired_ms = None
                    self.dirty[key] = track

    def explain(
        self, compiled: CompiledPolicy, seen: Observation, margins_q8: Int16
    ) -> tuple[Look, tuple[Gate, ...]]:
        """What `compiled` makes of one more frame, gate by gate; changes nothing.

        Within an episode there is one gate more, which does not pass: it has decided already. Of a
        policy with a cooldown per class the class that comes nearest is told.
        """
        if not compiled.hears:
            margins_q8 = self.calibrations.row_q8(seen.device, margins_q8)
        names = {part.fingerprint for part in compiled.parts()}
        looks = [
            self._look(rule, seen, margins_q8) for rule in self._rules if rule.fingerprint in names
        ]
        look = max(looks, key=lambda one: one.over)
        blank = Track(fresh=False)
        track = self.views.tracks.get((look.compiled.fingerprint, seen.device), blank)
        said = look.says(track)
        hit = said > 0
        hits = track.hits + said if said >= 0 else 0
        since_ms = track.since_ms if track.hits else seen.time_ms
        held_ms = seen.time_ms - since_ms if hit else 0
        new = compiled.policy.new
        news = self.novelty.judge(new, look, seen) if isinstance(new, New) and hit else None
        gates = self.gates(look, track, seen, hits, held_ms, news, unsure=said == 0)
        if track.present and hit:
            text = f"the episode of {(seen.time_ms - track.since_ms) / 1000:.0f} s ago has decided"
            gates = (Gate("episode", False, text), *gates)
        return look, gates

    def _look(self, rule: CompiledPolicy, seen: Observation, margins_q8: Int16) -> Look:
        if isinstance(seen, Caption):
            track = self.views.tracks.get((rule.fingerprint, seen.device)) or Track()
            return look_at_caption(rule, track, seen, margins_q8)
        if rule.policy.boxed:
            return look_at_boxes(rule, seen.device, seen.boxes, len(margins_q8))
        if rule.policy.changes is not None:
            return self._look_at_change(rule, seen)
        return Look.at(rule, margins_q8)

    def _look_apart(self, index: int, seen: Observation, columns: int) -> Look:
        """The look of a rule whose margins do not tell; a scene takes the frame in."""
        rule = self._rules[index]
        if rule.policy.changes is None:
            return look_at_boxes(rule, seen.device, seen.boxes, columns)
        look = self._look_at_change(rule, seen)
        if seen.embedding:
            frame = np.frombuffer(seen.embedding, np.int8)
            key = (rule.fingerprint, seen.device)
            track, over_ms = self.views.tracks[key], int(1000 * rule.policy.changes.over_s)
            scene = track.scene
            track.scene = (
                Scene.first(frame, seen.time_ms)
                if scene is None
                else scene.after(frame, seen.time_ms, over_ms)
            )
            self.dirty[key] = track
        return look

    def _look_at_change(self, rule: CompiledPolicy, seen: Observation) -> Look:
        assert rule.policy.changes is not None
        track = self.views.tracks.get((rule.fingerprint, seen.device))
        scene = None if track is None else track.scene
        ratio_q8 = 0
        if scene is not None and seen.embedding:
            ratio_q8 = scene.ratio_q8(np.frombuffer(seen.embedding, np.int8))
        wanted_q8 = 256 * rule.policy.changes.times
        over = ratio_q8 - wanted_q8 if scene is not None else -NEVER
        return Look(rule, over, None, ("a change of the scene", ratio_q8, wanted_q8))

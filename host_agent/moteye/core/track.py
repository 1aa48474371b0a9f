"""What one policy knows of one camera, and one look at a frame."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from moteye.core.change import Scene
from moteye.core.layout import CompiledPolicy

CONSENSUS_FRAMES = 2
# How far below the threshold an episode may sink before it ends: half a unit of log-odds.
EXIT_MARGIN_Q8 = 128
NEAR_MISS_EVERY_MS = 60_000  # a score that flickers leaves one near miss a minute, not one a frame


@dataclass(frozen=True)
class Peak:
    """The best frame of a candidate."""

    phrase: str
    margin_q8: int
    threshold_q8: int
    frame: int
    session: int
    time_ms: int


@dataclass(frozen=True)
class Episode:
    """What was decided at the beginning of an episode, kept for its end."""

    id: str
    time_ms: int
    fired: bool
    phrase: str
    margin_q8: int
    threshold_q8: int
    frame: int
    session: int
    began_ms: int


@dataclass(slots=True)
class Track:
    """The state of one policy on one camera.

    `fresh`: not looked at since the agent began; `from_start`: what it follows was there at the
    first look; `since_ms`, `last_ms` first and latest frame of the candidate; `fired_ms` the last
    alert that counts for the cooldown; `rises` frames in a row at which the severity would rise, -1
    once it has.
    """

    hits: int = 0
    misses: int = 0
    since_ms: int = 0
    last_ms: int = 0
    fresh: bool = True
    from_start: bool = False
    present: bool = False
    fired_ms: int | None = None
    near_ms: int | None = None
    peak: Peak | None = None
    episode: Episode | None = None
    scene: Scene | None = None
    rises: int = 0

    @property
    def blank(self) -> bool:
        """Whether it knows nothing that a track of its own start would not: no need to store it."""
        quiet = self.fired_ms is None and self.near_ms is None and self.scene is None
        return quiet and not (self.present or self.hits)

    def remember(self, look: "Look", frame: int, session: int, time_ms: int) -> None:
        """Keep the frame if it is the candidate's best so far."""
        if self.peak is None or look.margin_q8 > self.peak.margin_q8:
            self.peak = Peak(
                look.phrase, look.margin_q8, look.threshold_q8, frame, session, time_ms
            )

    def plain(self) -> dict[str, Any]:
        """For a store: what differs from a new track, as JSON takes it."""
        found = {name: getattr(self, name) for name in _NAMES}
        found = {name: value for name, value in found.items() if value != _NEW[name]}
        if self.peak is not None:
            found["peak"] = tuple(vars(self.peak).values())
        if self.episode is not None:
            found["episode"] = tuple(vars(self.episode).values())
        if self.scene is not None:
            found["scene"] = self.scene.plain()
        return found

    @classmethod
    def of_plain(cls, plain: dict[str, Any]) -> "Track":
        """The track that `plain` came from; what this version does not know is left out."""
        track = cls(**{name: value for name, value in plain.items() if name in _NEW})
        track.peak = Peak(*plain["peak"]) if "peak" in plain else None
        track.episode = Episode(*plain["episode"]) if "episode" in plain else None
        track.scene = Scene.of_plain(plain["scene"]) if "scene" in plain else None
        return track


_PARTS = ("peak", "episode", "scene")
_NEW = {f.name: f.default for f in fields(Track) if f.name not in _PARTS}
_NAMES = tuple(_NEW)


class Look:
    """One frame in the eyes of one policy.

    `over`: how far above the threshold, negative below. The phrase is the one that decided.
    `extra` are gates (name, passed, text) of what is not a margin.
    """

    def __init__(
        self,
        compiled: CompiledPolicy,
        over: int,
        margins_q8: npt.NDArray[np.int16] | None,
        phrase: str = "",
        margin_q8: int = 0,
        threshold_q8: int = 0,
        extra: tuple[tuple[str, bool, str], ...] = (),
    ) -> None:
        self.compiled = compiled
        self.over = int(over)
        self.extra = extra
        self._margins_q8 = margins_q8
        self._found = (phrase, margin_q8, threshold_q8) if margins_q8 is None else None

    def hits(self, track: Track) -> bool:
        """Whether the frame counts; an episode under way is let go later than it was begun."""
        return self.over + (EXIT_MARGIN_Q8 if track.present else 0) >= 0

    @property
    def frames_needed(self) -> int:
        """How many frames in a row make an episode."""
        policy = self.compiled.policy
        least = 1 if policy.instant else CONSENSUS_FRAMES
        return max([least, *(zone.inertia for zone in policy.zones)])

    @property
    def hold_ms(self) -> float:
        """How long they must go on."""
        policy = self.compiled.policy
        return max([policy.gone_s, policy.hold_s, *(z.dwell_s for z in policy.zones)]) * 1000

    @property
    def rises(self) -> bool:
        """Whether a phrase of `any`, or all of `all`, reach what an upgrade asks for."""
        if self.compiled.upgrade_q8 is None or self._margins_q8 is None or self.over < 0:
            return False
        count = len(self.compiled.policy.any_of) or len(self.compiled.policy.all_of)
        reached = (
            self._margins_q8[self.compiled.columns[:count]] >= self.compiled.upgrade_q8[:count]
        )
        return bool(reached.any() if self.compiled.policy.any_of else reached.all())

    @property
    def phrase(self) -> str:
        """The phrase that decided: the best of `any`, else the worst of `all`."""
        return self._best()[0]

    @property
    def margin_q8(self) -> int:
        """That phrase's margin."""
        return self._best()[1]

    @property
    def threshold_q8(self) -> int:
        """That phrase's threshold."""
        return self._best()[2]

    def contrast(self) -> tuple[str, int] | None:
        """The strongest phrase of `unlike` and its margin; None where there is none to tell."""
        policy, margins = self.compiled.policy, self._margins_q8
        if margins is None or not policy.unlike:
            return None
        first = len(self.compiled.columns) - len(policy.unlike)
        found = margins[self.compiled.columns[first:]]
        best = int(found.argmax())
        return policy.unlike[best], int(found[best])

    def blocker(self) -> str:
        """The phrase of `all` or `not` that keeps this frame from counting; empty for none."""
        policy, margins = self.compiled.policy, self._margins_q8
        if margins is None:
            return ""
        for at, phrase in enumerate(policy.phrases):
            margin = int(margins[self.compiled.columns[at]])
            seen = margin >= self.compiled.enter_q8[at]
            if phrase in policy.none_of and seen:
                return f"not: {phrase} is seen, margin {margin / 256:.2f}"
            if phrase in policy.all_of and policy.any_of and not seen:
                needed = self.compiled.enter_q8[at] / 256
                return f"all: {phrase}, margin {margin / 256:.2f} below {needed:.2f}"
        return ""

    def _best(self) -> tuple[str, int, int]:
        if self._found is None:
            assert self._margins_q8 is not None
            # Plain integers: for a handful of phrases an array costs more than it saves.
            phrases, columns, enter = self.compiled.deciding
            margins = [int(self._margins_q8[column]) for column in columns]
            over = [margin - needed for margin, needed in zip(margins, enter, strict=True)]
            at = over.index(max(over) if self.compiled.policy.any_of else min(over))
            self._found = (phrases[at], margins[at], enter[at])
        return self._found

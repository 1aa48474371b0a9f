"""What one policy knows of one camera, and one look at a frame."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

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


@dataclass(slots=True)
class Track:
    """The state of one policy on one camera.

    `fresh`: not looked at since the agent began; `from_start`: what it follows was there at the
    first look; `since_ms`, `last_ms` first and latest frame of the candidate; `fired_ms` the last
    alert that counts for the cooldown.
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

    @property
    def blank(self) -> bool:
        """Whether it knows nothing that a track of its own start would not: no need to store it."""
        quiet = self.fired_ms is None and self.near_ms is None
        return quiet and not (self.present or self.hits)

    def remember(self, look: "Look", frame: int, session: int, time_ms: int) -> None:
        """Keep the frame if it is the candidate's best so far."""
        if self.peak is None or look.margin_q8 > self.peak.margin_q8:
            self.peak = Peak(
                look.phrase, look.margin_q8, look.threshold_q8, frame, session, time_ms
            )

    def plain(self) -> list[Any]:
        """For a store: a list that JSON takes."""
        peak = self.peak
        best = None
        if peak is not None:
            best = [peak.phrase, peak.margin_q8, peak.threshold_q8]
            best += [peak.frame, peak.session, peak.time_ms]
        return [
            *(self.hits, self.misses, self.since_ms, self.last_ms),
            *(self.fresh, self.from_start, self.present, self.fired_ms, self.near_ms),
            best,
        ]

    @classmethod
    def of_plain(cls, plain: list[Any]) -> "Track":
        """The track that `plain` came from."""
        track = cls(*plain[:-1])
        track.peak = Peak(*plain[-1]) if plain[-1] else None
        return track


class Look:
    """One frame in the eyes of one policy.

    `over`: how far above the threshold, negative below. The phrase is the one that decided.
    """

    def __init__(
        self,
        compiled: CompiledPolicy,
        over: int,
        margins_q8: npt.NDArray[np.int16] | None,
        phrase: str = "",
        margin_q8: int = 0,
        threshold_q8: int = 0,
    ) -> None:
        self.compiled = compiled
        self.over = int(over)
        self._margins_q8 = margins_q8
        self._found = (phrase, margin_q8, threshold_q8) if margins_q8 is None else None

    def hits(self, track: Track) -> bool:
        """Whether the frame counts; an episode under way is let go later than it was begun."""
        return self.over + (EXIT_MARGIN_Q8 if track.present else 0) >= 0

    @property
    def frames_needed(self) -> int:
        """How many frames in a row make an episode."""
        return 1 if self.compiled.policy.instant else CONSENSUS_FRAMES

    @property
    def hold_ms(self) -> float:
        """How long they must go on."""
        policy = self.compiled.policy
        return (policy.gone_s or policy.hold_s) * 1000

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
            policy = self.compiled.policy
            count = len(policy.any_of) or len(policy.all_of)
            columns, enter = self.compiled.columns[:count], self.compiled.enter_q8[:count]
            margins = self._margins_q8[columns].astype(np.int32)
            at = int(np.argmax(margins - enter) if policy.any_of else np.argmin(margins - enter))
            self._found = (policy.phrases[at], int(margins[at]), int(enter[at]))
        return self._found

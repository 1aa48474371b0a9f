"""What a recording says of policies: how often each would have alerted, and how near it came."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from moteye.core.compile import CompiledSet
from moteye.core.decisions import Decision
from moteye.core.hearing import Caption
from moteye.core.layout import NEVER, Layout
from moteye.core.look import Look
from moteye.core.seen import Observation

ALWAYS = 0.5  # a policy that holds on more than this share of the frames is about what is usual
FEW_FRAMES = 200  # below which a recording says nothing
MANY_A_DAY = 24.0
_DAY_MS = 86_400_000


@dataclass
class Past:
    """One policy over a recording: frames looked at, those on which it held, and alerts.

    For a policy about captions, captions.

    `nearest_q8` is how far above (or, negative, below) its threshold it ever was.
    """

    frames: int = 0
    held: int = 0
    nearest_q8: int = -NEVER
    fired: int = 0

    @property
    def share(self) -> float:
        """On which share of the frames it held."""
        return self.held / self.frames if self.frames else 0.0


@dataclass
class Recording:
    """The policies of `compiled` over a recording; `take` what is replayed, batch by batch."""

    compiled: CompiledSet
    pasts: dict[str, Past] = field(default_factory=dict)
    first_ms: int | None = None
    last_ms: int = 0

    def __post_init__(self) -> None:
        self._layout = Layout(self.compiled.policies)
        self.pasts = {item.policy.name: Past() for item in self.compiled.policies}

    @property
    def days(self) -> float:
        """The time between the first frame and the last."""
        return 0.0 if self.first_ms is None else (self.last_ms - self.first_ms) / _DAY_MS

    def take(self, seen: list[Observation], margins_q8: npt.NDArray[np.int16]) -> None:
        """Frames with their margins int16[B, K]."""
        if not seen:
            return
        self._span(seen)
        over = self._layout.over(margins_q8)
        for index, item in enumerate(self.compiled.policies):
            watched = np.array([item.judges(one.device, one.encoder) for one in seen], np.bool_)
            past = self.pasts[item.policy.name]
            past.frames += int(watched.sum())
            if watched.any():
                own = over[watched, index]
                past.held += int((own >= 0).sum())
                past.nearest_q8 = max(past.nearest_q8, int(own.max()))

    def take_caption(self, caption: Caption, margins_q8: npt.NDArray[np.int16]) -> None:
        """A caption with its margins int16[C]."""
        self._span([caption])
        for item in self.compiled.policies:
            if item.hears and item.judges(caption.device, caption.encoder):
                past = self.pasts[item.policy.name]
                past.frames += 1
                if item.policy.changes is None:
                    over = Look.at(item, margins_q8).over
                    past.held += over >= 0
                    past.nearest_q8 = max(past.nearest_q8, over)

    def _span(self, seen: Sequence[Observation]) -> None:
        times = [one.time_ms for one in seen]
        self.first_ms = min([*times, *([] if self.first_ms is None else [self.first_ms])])
        self.last_ms = max(self.last_ms, *times)

    def decided(self, decision: Decision) -> None:
        """What the replay decided."""
        if decision.fired:
            self.pasts[decision.policy].fired += 1

    def a_day(self, policy: str) -> tuple[float, float, float]:
        """Alerts a day, and the 95 % interval of their rate (score interval of a count)."""
        count, days = self.pasts[policy].fired, max(self.days, 1 / 24)
        half = 1.96 * (count + 0.96) ** 0.5
        return count / days, max(0.0, count + 1.92 - half) / days, (count + 1.92 + half) / days

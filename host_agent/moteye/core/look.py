"""One frame in the eyes of one policy."""

import numpy as np
import numpy.typing as npt

from moteye.core.layout import NEVER, CompiledPolicy
from moteye.core.track import BAND_Q8, EXIT_MARGIN_Q8, Track

Found = tuple[str, int, int]
REACHED = 1 << 20
"""More than any margin: phrases that reach their threshold are named before those that do not."""


class Look:
    """One frame in the eyes of one policy.

    `over`: how far above the threshold, negative below. `found` is the phrase that decided with its
    margin and its threshold; None where the margins int16[K] tell it, should anybody ask. `extra`
    are gates (name, passed, text) of what is not a margin. Nearer to a threshold than `band` the
    frame abstains.
    """

    __slots__ = ("_found", "_margins_q8", "band", "compiled", "extra", "over")

    def __init__(
        self,
        compiled: CompiledPolicy,
        over: int,
        margins_q8: npt.NDArray[np.int16] | None,
        found: Found | None = None,
        extra: tuple[tuple[str, bool, str], ...] = (),
        band: int = 0,
    ) -> None:
        self.compiled = compiled
        self.band = band
        self.over = over
        self.extra = extra
        self._margins_q8 = margins_q8
        self._found = found

    @classmethod
    def at(cls, compiled: CompiledPolicy, margins_q8: npt.NDArray[np.int16]) -> "Look":
        """The look of a policy whose margins int16[K] tell; `over` is what `Layout.over` says."""
        found = None
        if compiled.only_any:
            over, found = best_of(compiled, margins_q8)
        else:
            over = over_of(compiled, margins_q8)
        over = -1 - over if compiled.is_gone else over
        return cls(compiled, over, margins_q8, found, band=BAND_Q8)

    @classmethod
    def nothing(cls, compiled: CompiledPolicy) -> "Look":
        """The look of a plain policy at a frame that shows it nothing, however little."""
        return cls(compiled, -NEVER, None, ("", 0, 0), band=BAND_Q8)

    def says(self, track: Track) -> int:
        """1 where the frame counts, -1 where it is one without, 0 where it abstains.

        An episode under way is let go later than it was begun. The first look takes things as they
        are, and decides nothing: it does not abstain.
        """
        level = self.over + EXIT_MARGIN_Q8 if track.present else self.over
        band = 0 if track.fresh else self.band
        return 1 if level >= band else -(level < -band)

    @property
    def rising(self) -> int:
        """1 where a phrase of `any`, or all of `all`, reach what an upgrade asks for.

        -1 where they do not, 0 where that is too near to tell.
        """
        if self.compiled.upgrade_q8 is None or self._margins_q8 is None or self.over < 0:
            return -1
        count = len(self.compiled.deciding)
        margins = self._margins_q8[self.compiled.columns[:count]].astype(np.int32)
        above = margins - self.compiled.upgrade_q8[:count]
        over = int(above.max() if self.compiled.takes_best else above.min())
        return 1 if over >= BAND_Q8 else -(over < -BAND_Q8)

    @property
    def phrase(self) -> str:
        """The phrase that decided: the best of `any`, else the worst of `all`."""
        return self.found[0]

    @property
    def margin_q8(self) -> int:
        """That phrase's margin."""
        return self.found[1]

    @property
    def threshold_q8(self) -> int:
        """That phrase's threshold."""
        return self.found[2]

    @property
    def found(self) -> Found:
        """All three."""
        if self._found is None:
            assert self._margins_q8 is not None
            _, self._found = best_of(self.compiled, self._margins_q8)
        return self._found

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
        if margins is None or self.compiled.only_any:
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


def best_of(compiled: CompiledPolicy, margins_q8: npt.NDArray[np.int16]) -> tuple[int, Found]:
    """How far the best phrase of `any` stands above its threshold, and the phrase to name.

    Named is the most probable of those that reach theirs, for a margin is a log-odds; where none
    does, the nearest. Without `any` both are of the phrase of `all` that stands lowest.
    """
    # Plain integers: for a handful of phrases an array costs more than it saves.
    margin_of, deciding = margins_q8.item, compiled.deciding
    best, found = deciding[0], margin_of(deciding[0][1])
    over = found - best[2]
    takes_best = compiled.takes_best
    rank = found + REACHED if over >= 0 else over
    for one in deciding[1:]:
        margin = margin_of(one[1])
        its = margin - one[2]
        if not takes_best:
            if its < over:
                best, found, over = one, margin, its
            continue
        over = max(over, its)
        its = margin + REACHED if its >= 0 else its
        if its > rank:
            best, found, rank = one, margin, its
    return over, (best[0], found, best[2])


def over_of(compiled: CompiledPolicy, margins_q8: npt.NDArray[np.int16]) -> int:
    """What `Layout.over` says of one policy and margins int16[K], but for `gone`."""
    over = (margins_q8[compiled.columns].astype(np.int32) - compiled.enter_q8).tolist()
    policy = compiled.policy
    any_count, all_count = len(policy.any_of), len(policy.all_of)
    refused = any_count + all_count
    parts = [NEVER]
    if any_count:
        parts.append(max(over[:any_count]))
    parts += over[any_count:refused]
    parts += [-1 - value for value in over[refused : refused + len(policy.none_of)]]
    return int(min(parts))

"""What a device says of a frame, in the eyes of a policy: `caption:` and `changes: caption`.

A sentence is a vector of the space that phrases have, int8[256]; likeness is taken over its first
DIM entries, in integers.
"""

from dataclasses import dataclass, replace
from math import isqrt

import numpy as np
import numpy.typing as npt

from moteye.core.language import WITHIN_S
from moteye.core.layout import NEVER, CompiledPolicy
from moteye.core.look import Look
from moteye.core.seen import Observation
from moteye.core.track import CONSENSUS_FRAMES, Saying, Track

DIM = 64
ONE_Q12 = 4096
ALIKE = "says something else"


@dataclass(slots=True)
class Caption(Observation):
    """One frame of one device in words.

    `embedding` int8[256] is the sentence's vector, `encoder` the hash of the caption pack.
    """

    text: str = ""

    @property
    def vector(self) -> npt.NDArray[np.int8]:
        """int8[1, 256], as a scorer takes it."""
        return np.frombuffer(self.embedding, np.int8)[None]


def likeness_q12(one: bytes, other: bytes) -> int:
    """Cosine of two sentences' vectors int8[>= DIM], x 4096; 0 where one of them is empty."""
    a, b = (np.frombuffer(data, np.int8)[:DIM].astype(np.int64) for data in (one, other))
    root = isqrt(int(a @ a) * int(b @ b))
    return int(a @ b) * ONE_Q12 // root if root else 0


def look_at_caption(
    rule: CompiledPolicy, track: Track, caption: Caption, margins_q8: npt.NDArray[np.int16]
) -> Look:
    """One caption in the eyes of a policy; margins int16[C] of all that captions are asked for."""
    changes = rule.policy.changes
    if changes is None:
        look = Look.at(rule, margins_q8)
        look.extra = (("caption", True, f"in words: {caption.text}"),)
        return look
    before, least_q12 = track.saying, round(changes.alike * ONE_Q12)
    like_q12 = ONE_Q12 if before is None else likeness_q12(before.vector, caption.embedding)
    over = -NEVER if before is None or not before.sure else least_q12 - 1 - like_q12
    text = f"in words: {caption.text}" + (f"; before: {before.text}" if before is not None else "")
    found = (ALIKE, (ONE_Q12 - like_q12) >> 4, (ONE_Q12 - least_q12) >> 4)
    return Look(rule, over, None, found, extra=(("caption", True, text),))


def follow(look: Look, track: Track, caption: Caption) -> bool:
    """What a camera says from here on, for `changes: caption`; whether that changed.

    A sentence counts once a second one was like it; after an alert the new one stands instead.
    """
    before = track.saying
    now = Saying(caption.text, caption.embedding[:DIM])
    if before is None or (track.present and look.over >= 0):
        track.saying = now
    elif not before.sure:
        sure = look.found[1] <= look.found[2]
        track.saying = replace(before, sure=True) if sure else now
    return track.saying is not before


def begin_anew(rule: CompiledPolicy, track: Track, time_ms: int) -> None:
    """Captions that lie too far apart do not count together."""
    caption = rule.policy.caption
    within_s = WITHIN_S if caption is None else caption.within_s
    if track.hits and not track.present and time_ms - track.last_ms > 1000 * within_s:
        track.hits, track.peak = 0, None


def is_unclear(track: Track) -> bool:
    """Whether one more caption would tell: one stands against what was known."""
    if track.present:
        return 0 < track.misses < CONSENSUS_FRAMES
    unsure = track.saying is not None and not track.saying.sure
    return unsure or 0 < track.hits < CONSENSUS_FRAMES

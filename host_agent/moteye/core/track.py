"""What one policy knows of one camera."""

from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from moteye.core.change import Scene

CONSENSUS_FRAMES = 2
# How far below the threshold an episode may sink before it ends: half a unit of log-odds.
EXIT_MARGIN_Q8 = 128
# How near a threshold a margin says nothing: 4-bit rows move it by 48, the bank that it is
# calibrated on by 24, rounded embeddings by 13, which is 55 together (test_band.py).
BAND_Q8 = 54
NEAR_MISS_EVERY_MS = 60_000  # a score that flickers leaves one near miss a minute, not one a frame


@dataclass(slots=True)
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


@dataclass(frozen=True)
class Saying:
    """What a camera says: a sentence, the beginning of its vector; `sure`: it was said again."""

    text: str
    vector: bytes
    sure: bool = False

    def plain(self) -> list[Any]:
        """For a store."""
        return [self.text, self.vector.hex(), self.sure]

    @classmethod
    def of_plain(cls, plain: list[Any]) -> "Saying":
        """The sentence that `plain` came from."""
        return cls(plain[0], bytes.fromhex(plain[1]), plain[2])


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
    saying: Saying | None = None
    rises: int = 0

    @property
    def lasting(self) -> bool:
        """Whether it knows what must outlive a restart; a mere candidate begins anew."""
        known = self.scene is not None or self.saying is not None
        return self.present or self.fired_ms is not None or known

    @property
    def is_candidate(self) -> bool:
        """Whether it has been seen, but not often or long enough yet."""
        return self.hits > 0 and not (self.present or self.fresh)

    def start(self) -> None:
        """The agent has begun: the next look is the first. An episode goes on."""
        self.fresh = True
        self.near_ms = None
        self.misses = 0
        if not self.present:
            self.hits = 0

    def plain(self) -> dict[str, Any]:
        """For a store: what differs from a new track, as JSON takes it."""
        found = {name: getattr(self, name) for name in _NAMES}
        found = {name: value for name, value in found.items() if value != _NEW[name]}
        if self.peak is not None:
            found["peak"] = _peak_of(self.peak)
        if self.episode is not None:
            found["episode"] = _episode_of(self.episode)
        if self.scene is not None:
            found["scene"] = self.scene.plain()
        if self.saying is not None:
            found["saying"] = self.saying.plain()
        return found

    @classmethod
    def of_plain(cls, plain: dict[str, Any]) -> "Track":
        """The track that `plain` came from; what this version does not know is left out."""
        track = cls(**{name: value for name, value in plain.items() if name in _NEW})
        track.peak = Peak(*plain["peak"]) if "peak" in plain else None
        track.episode = Episode(*plain["episode"]) if "episode" in plain else None
        track.scene = Scene.of_plain(plain["scene"]) if "scene" in plain else None
        track.saying = Saying.of_plain(plain["saying"]) if "saying" in plain else None
        return track


_peak_of = attrgetter(*(f.name for f in fields(Peak)))
_episode_of = attrgetter(*(f.name for f in fields(Episode)))
_PARTS = ("peak", "episode", "scene", "saying")
_NEW = {f.name: f.default for f in fields(Track) if f.name not in _PARTS}
_NAMES = tuple(_NEW)

"""`new:` with a memory: whether what a frame shows is news. Pure; event time only.

An *instance* is told by two numbers, since one embedding of the whole frame has to do:

    similarity  of the frame to the nearest remembered picture: KNOWN_Q12 or more explains it
    rise        of the margin over where it stood before the change: another plant makes a picture
                more of a plant; a cloud, a lamp or something that leaves do not

An unexplained frame with a rise is news, and the less it is like anything the less it has to rise.
One without is the same things in another light, and is remembered as a further view of the nearest.
"""

from dataclasses import dataclass, field
from typing import Literal

from moteye.core.language import New
from moteye.core.layout import CompiledPolicy
from moteye.core.look import Look
from moteye.core.memory import ONE_Q12, Match, Memory
from moteye.core.seen import Observation

KNOWN_Q12 = round(0.88 * ONE_Q12)
FAR_Q12 = round(0.80 * ONE_Q12)
RISE_Q8, FAR_RISE_Q8 = 128, 0  # log-odds x 256, above and below FAR_Q12
SITE = "*"
_LEVEL_SHIFT = 2  # the level follows the margin by a quarter a frame
Place = tuple[str, str]


@dataclass(frozen=True)
class News:
    """Whether a frame shows something new, in words that carry the numbers.

    `match` is the nearest remembered picture. What the frame adds to the memory: nothing where
    that explains it ("seen"), another picture of the same thing ("view"), or a thing.
    """

    new: bool
    text: str
    match: Match | None = None
    adds: Literal["seen", "view", "thing"] = "thing"


@dataclass(slots=True)
class Level:
    """How strongly a policy's words stood on one camera before the latest change.

    `odd`: frames in a row, from `odd_ms` on, that memory does not explain.
    """

    margin_q8: int
    infrared: bool
    odd: int = 0
    odd_ms: int = 0

    def follow(self, margin_q8: int) -> None:
        """Another frame without a change."""
        self.margin_q8 += (margin_q8 - self.margin_q8) >> _LEVEL_SHIFT


@dataclass
class Novelty:
    """The memories of all policies by (`CompiledPolicy.memory`, camera or SITE)."""

    memories: dict[Place, Memory] = field(default_factory=dict)
    _levels: dict[Place, Level] = field(default_factory=dict)
    _dirty: set[Place] = field(default_factory=set)

    def restore(self, memories: dict[Place, Memory]) -> None:
        """Go on with the memories of an earlier run."""
        self.memories = dict(memories)
        self.start()

    def start(self) -> None:
        """Watching begins: the first look shows how things are."""
        self._levels.clear()

    def forget(self, places: list[Place]) -> None:
        """Drop memories, of policies that are gone."""
        for place in places:
            self.memories.pop(place, None)
            self._dirty.discard(place)

    def take_changed(self) -> dict[Place, Memory]:
        """The memories that changed since this was asked last."""
        changed = {place: self.memories[place] for place in sorted(self._dirty)}
        self._dirty.clear()
        return changed

    def call(self, memory: str, device: str, seen: Observation, name: str) -> None:
        """Give the remembered thing that a frame shows a name."""
        for place in ((memory, device), (memory, SITE)):
            found = self.memories.get(place)
            match = found and found.match(seen.embedding, infrared=seen.infrared)
            if match and match.similarity_q12 >= KNOWN_Q12:
                match.thing.name = name
                self._dirty.add(place)

    def place(self, compiled: CompiledPolicy, device: str) -> Place:
        """Where a policy's memory of a camera is kept."""
        new = compiled.policy.new
        site = isinstance(new, New) and new.per == "site"
        return compiled.memory, SITE if site else device

    def memory(self, compiled: CompiledPolicy, seen: Observation) -> Memory:
        """The memory that a frame is held against; it is born with the first."""
        place = self.place(compiled, seen.device)
        if place not in self.memories:
            self.memories[place] = Memory(seen.time_ms)
            self._dirty.add(place)
        return self.memories[place]

    def judge(self, new: New, look: Look, seen: Observation) -> News:
        """Whether what `look` shows is news; changes nothing."""
        place = self.place(look.compiled, seen.device)
        memory = self.memories.get(place) or Memory(seen.time_ms)
        news = (
            _class_news(look.compiled, memory, seen.time_ms)
            if new.of == "class"
            else self._instance_news(new, memory, look, seen)
        )
        left_s = new.learn_s - (seen.time_ms - memory.born_ms) / 1000
        if news.new and left_s > 0:
            text = f"known: learning for {span(left_s)} more"
            return News(False, text, news.match, news.adds)
        return news

    def learn(self, new: New, look: Look, seen: Observation, news: News) -> None:
        """An episode has begun, or something came to one: what it shows is known from now on."""
        place = self.place(look.compiled, seen.device)
        memory = self.memory(look.compiled, seen)
        changed = memory.saw_class(seen.time_ms)
        if new.of == "instance":
            changed = True
            self._levels[self._camera(look, seen)] = Level(look.margin_q8, seen.infrared)
            _remember(memory, look, seen, news)
        if changed:
            self._dirty.add(place)

    def absent(self, new: New, look: Look, seen: Observation, *, ended: bool) -> None:
        """A frame without the words; `ended`: an episode ends with it."""
        memory = self.memory(look.compiled, seen)
        if ended and memory.saw_class(seen.time_ms):
            self._dirty.add(self.place(look.compiled, seen.device))
        if new.of == "instance":
            level = self._level(look, seen)
            level.infrared, level.odd = seen.infrared, 0
            level.follow(look.margin_q8)

    def during(self, new: New, look: Look, seen: Observation, *, fresh: bool) -> News | None:
        """One more frame of an episode: news when something came to what is there, else None."""
        memory = self.memory(look.compiled, seen)
        place = self.place(look.compiled, seen.device)
        level = self._level(look, seen)
        news = self.judge(new, look, seen)
        if news.adds == "seen" and news.match is not None:
            level.infrared, level.odd = seen.infrared, 0
            level.follow(look.margin_q8)
            if memory.saw(news.match, seen.time_ms):
                self._dirty.add(place)
            return None
        if level.odd == 0:
            level.odd_ms = seen.time_ms
        level.odd += 1
        held_ms = seen.time_ms - level.odd_ms
        first = fresh or level.infrared is not seen.infrared
        if not first and (
            level.odd < look.compiled.frames_needed or held_ms < look.compiled.hold_ms
        ):
            return None
        if first:
            # What stands there, by another light: the nearest by this one, else by the other.
            nearest = news.match or memory.match(seen.embedding, infrared=not seen.infrared)
            news = News(False, "", nearest, "view" if nearest else "thing")
        if not news.new:
            self.learn(new, look, seen, news)
            return None
        return news

    def _instance_news(self, new: New, memory: Memory, look: Look, seen: Observation) -> News:
        match = memory.match(seen.embedding, infrared=seen.infrared)
        if match is None:
            return News(True, "new: nothing like it seen here")
        where = f"{match.thing}, similarity {_shown(match)}"
        if match.similarity_q12 >= KNOWN_Q12:
            kept = match.thing.name in new.known
            if kept or _remembered(look.compiled, match.thing.last_ms, seen.time_ms):
                return News(False, f"known: {where}", match, "seen")
            away_s = (seen.time_ms - match.thing.last_ms) / 1000
            return News(True, f"new again: {where}, away for {span(away_s)}", match, "seen")
        level = self._levels.get(self._camera(look, seen))
        if level is None:
            return News(True, f"new: the nearest is {where}", match)
        rise = look.margin_q8 - level.margin_q8
        if rise < (FAR_RISE_Q8 if match.similarity_q12 < FAR_Q12 else RISE_Q8):
            text = f"known: no more of it than before (margin {rise / 256:+.2f}); nearest {where}"
            return News(False, text, match, "view")
        text = f"new: the nearest is {where}; margin {rise / 256:+.2f}"
        return News(True, text, match)

    def _level(self, look: Look, seen: Observation) -> Level:
        return self._levels.setdefault(
            self._camera(look, seen), Level(look.margin_q8, seen.infrared)
        )

    @staticmethod
    def _camera(look: Look, seen: Observation) -> Place:
        return look.compiled.memory, seen.device


def _remember(memory: Memory, look: Look, seen: Observation, news: News) -> None:
    match = news.match
    if match is not None and news.adds == "seen":
        match.view.last_ms = match.thing.last_ms = seen.time_ms
    elif match is not None and news.adds == "view":
        memory.add_view(match.thing, seen.embedding, infrared=seen.infrared, time_ms=seen.time_ms)
    else:
        memory.add_thing(look.phrase, seen.embedding, infrared=seen.infrared, time_ms=seen.time_ms)


def _class_news(compiled: CompiledPolicy, memory: Memory, time_ms: int) -> News:
    if memory.class_ms is None:
        return News(True, "new: never seen here")
    ago = span((time_ms - memory.class_ms) / 1000)
    if _remembered(compiled, memory.class_ms, time_ms):
        return News(False, f"known: seen {ago} ago")
    return News(True, f"new: not seen for {ago}")


def _remembered(compiled: CompiledPolicy, last_ms: int, time_ms: int) -> bool:
    """Whether what was seen at `last_ms` still counts as known."""
    new = compiled.policy.new
    assert isinstance(new, New)
    away_s = (time_ms - last_ms) / 1000
    if new.after_absence_s and away_s >= new.after_absence_s:
        return False
    if compiled.period is not None:
        return compiled.period(last_ms) == compiled.period(time_ms)
    return new.window == "ever" or away_s < float(new.window)


def _shown(match: Match) -> str:
    return f"{match.similarity_q12 / ONE_Q12:.2f}"


def span(seconds: float) -> str:
    """A time span in the largest unit of which it has two: 41 s, 12 min, 47 h, 15 d."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"

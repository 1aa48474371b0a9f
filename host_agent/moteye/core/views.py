"""Which tracks there are of which device. A track is made when a frame shows something to it.

A thousand policies on ten thousand cameras would be ten million tracks, nearly all of them blank.
"""

from dataclasses import dataclass, field

from moteye.core.language import New
from moteye.core.layout import CompiledPolicy
from moteye.core.track import NEAR_MISS_EVERY_MS, Track

Key = tuple[str, str]
_ROOM = 4096  # tracks that may come before it is looked for some to drop


@dataclass(frozen=True)
class Scope:
    """The rules, by index, that watch a device; shared by all devices that the same ones watch.

    `apart`: those that need more than margins; `always`: those whose memory follows every frame;
    `first`: those that have to see a first look even where it shows nothing. `needs_all`: whether
    there is one that every frame concerns.
    """

    watched: frozenset[int]
    apart: tuple[int, ...]
    always: frozenset[int]
    first: frozenset[int]
    needs_all: bool


@dataclass
class View:
    """One device: its tracks by the rules' indices.

    `active`: those that a frame may change even when it shows nothing; `fresh`: not looked at yet.
    """

    scope: Scope
    tracks: dict[int, Track]
    active: set[int]
    fresh: set[int]

    def idle(self, before_ms: int) -> list[int]:
        """Whose track is as good as none, its latest near miss being older than `before_ms`."""
        kept = {*self.active, *self.scope.apart, *self.scope.always}
        return [
            index
            for index, track in self.tracks.items()
            if not (track.lasting or index in kept) and (track.near_ms or 0) < before_ms
        ]


@dataclass
class Views:
    """All tracks by (fingerprint, device), and a view for each device that was seen.

    `mixed`: whether there are rules for several encoders; then `encoders` are the devices'.
    """

    tracks: dict[Key, Track] = field(default_factory=dict)
    encoders: dict[str, bytes] = field(default_factory=dict)
    mixed: bool = False
    _rules: tuple[CompiledPolicy, ...] = ()
    _choosy: tuple[int, ...] = ()
    _plain: frozenset[int] = frozenset()
    _hearing: tuple[int, ...] = ()
    _came: dict[str, int] = field(default_factory=dict)
    _looked: dict[str, int] = field(default_factory=dict)
    _time: int = 0
    _most: int = _ROOM
    _views: dict[str, View] = field(default_factory=dict)
    _listening: dict[str, View] = field(default_factory=dict)
    _listened: dict[str, int] = field(default_factory=dict)
    _scopes: dict[tuple[int, ...], Scope] = field(default_factory=dict)

    def replace(self, rules: tuple[CompiledPolicy, ...]) -> None:
        """Other rules; the tracks of those that stay are kept."""
        self._time += 1
        came = {rule.fingerprint: self._came.get(rule.fingerprint, self._time) for rule in rules}
        self.tracks = {key: track for key, track in self.tracks.items() if key[0] in came}
        self._rules, self._came = rules, came
        seeing = {i: rule for i, rule in enumerate(rules) if not rule.hears}
        self.mixed = len({rule.encoder for rule in seeing.values()}) > 1
        self._choosy = tuple(
            i for i, rule in seeing.items() if self.mixed or rule.policy.cameras != ["*"]
        )
        self._plain = frozenset(seeing).difference(self._choosy)
        self._hearing = tuple(i for i, rule in enumerate(rules) if rule.hears)
        self._views.clear()
        self._listening.clear()
        self._scopes.clear()

    def restore(self, tracks: dict[Key, Track]) -> None:
        """The tracks of an earlier run; devices that have some were looked at."""
        self.tracks = dict(tracks)
        self._looked = {device: self._time for _, device in tracks}
        self._views.clear()
        self._listening.clear()

    def start(self) -> None:
        """Every device is looked at for the first time again; what does not last is forgotten."""
        self.tracks = {key: track for key, track in self.tracks.items() if track.lasting}
        for track in self.tracks.values():
            track.start()
        for known in (self._looked, self._listened, self._views, self._listening):
            known.clear()

    def encoder_is(self, device: str, encoder: bytes) -> None:
        """The encoder of a device, from its next frame on."""
        self.encoders[device] = encoder
        self._views.pop(device, None)

    def of(self, device: str) -> View:
        """The view of a device."""
        view = self._views.get(device)
        if view is None:
            view = self._views[device] = self._made(self._scope(device), device, self._looked)
        return view

    def listening(self, device: str) -> View | None:
        """The view of a device by what it says; None where no rule asks for that."""
        if not self._hearing:
            return None
        view = self._listening.get(device)
        if view is None:
            watched = [i for i in self._hearing if self._rules[i].policy.watches(device)]
            scope = Scope(frozenset(watched), (), frozenset(watched), frozenset(), True)
            view = self._listening[device] = self._made(scope, device, self._listened)
        return view

    def track(self, view: View, index: int, device: str) -> Track:
        """The track of a rule on a device, made where there is none."""
        track = view.tracks.get(index)
        if track is None:
            track = view.tracks[index] = Track(fresh=index in view.fresh)
            self.tracks[self._rules[index].fingerprint, device] = track
        return track

    def make_room(self, time_ms: int) -> None:
        """Drop tracks that know nothing any more, now and then: most are of a single near miss."""
        if len(self.tracks) <= self._most:
            return
        for device, view in self._views.items():
            for index in view.idle(time_ms - NEAR_MISS_EVERY_MS):
                del view.tracks[index]
                del self.tracks[self._rules[index].fingerprint, device]
        self._most = len(self.tracks) + max(_ROOM, len(self.tracks) // 2)

    def looked(self, view: View, device: str) -> None:
        """A frame of the device was looked at."""
        if view.fresh:
            for index in view.fresh.intersection(view.tracks):
                view.tracks[index].fresh = False
            view.fresh = set()
        self._looked[device] = self._time

    def listened(self, view: View, device: str) -> None:
        """A caption of the device was heard."""
        view.fresh = set()
        self._listened[device] = self._time

    def _made(self, scope: Scope, device: str, known: dict[str, int]) -> View:
        looked = known.get(device, -1)
        tracks, fresh = {}, set()
        for index in scope.watched:
            name = self._rules[index].fingerprint
            track = self.tracks.get((name, device))
            if track is not None:
                tracks[index] = track
            if track.fresh if track is not None else self._came[name] > looked:
                fresh.add(index)
        active = {index for index, track in tracks.items() if track.present or track.hits}
        view = View(scope, tracks, active, fresh)
        for index in (*scope.apart, *scope.always):
            self.track(view, index, device)
        return view

    def _scope(self, device: str) -> Scope:
        encoder = self.encoders.get(device, b"")
        key = tuple(
            i
            for i in self._choosy
            if encoder in (b"", self._rules[i].encoder) and self._rules[i].policy.watches(device)
        )
        scope = self._scopes.get(key)
        if scope is None:
            watched = self._plain.union(key)
            rules = {index: self._rules[index] for index in sorted(watched)}
            apart = tuple(index for index, rule in rules.items() if rule.apart)
            always = frozenset(i for i, rule in rules.items() if rule.tells_things_apart)
            scope = self._scopes[key] = Scope(
                watched,
                apart,
                always,
                frozenset(i for i, rule in rules.items() if isinstance(rule.policy.new, New)),
                bool(apart or always),
            )
        return scope

"""The recording, through the engine again: replay, comparison, and what was missing at a moment.

The clock is that of the events: a month takes as long as its events take to compute.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from moteye.core.background import CameraCalibration
from moteye.core.boxes import boxes_of
from moteye.core.compile import CompiledSet
from moteye.core.decisions import Decision, Gate
from moteye.core.engine import Engine, Observation
from moteye.core.hearing import Caption
from moteye.core.marks import Mark
from moteye.core.past import Recording
from moteye.core.scoring import probability_of
from moteye.core.seen import is_infrared
from moteye.store import RecordedEvent, Store

BATCH = 4096
SAME_MS = 10_000  # alerts of one camera this close are the same happening
_DAY_MS = 86_400_000


Int16 = npt.NDArray[np.int16]
OnBatch = Callable[[list[Observation], Int16], None]
OnCaption = Callable[[Caption, Int16], None]


class Replay:
    """One engine over recorded events.

    `seen` and `skipped` count embeddings, `heard` captions; those of an encoder that is neither
    this one nor among `compiled.others` are skipped. With `versions` (by `Engine.in_force`) the
    replay changes its policies where the agent did; without, `compiled` stays. `on_batch` is called
    with the observations of each batch and their margins int16[B, K], each camera's own;
    `on_caption` with each caption and its margins int16[C].
    """

    def __init__(
        self,
        compiled: CompiledSet,
        encoder_hash: bytes,
        versions: dict[bytes, CompiledSet] | None = None,
        *,
        on_batch: OnBatch | None = None,
        on_caption: OnCaption | None = None,
    ) -> None:
        self._versions = versions or {}
        self.engine = Engine()
        self.seen = 0
        self.heard = 0
        self.skipped = 0
        self._on_batch = on_batch
        self._on_caption = on_caption
        self._encoder_hash = encoder_hash
        self._use(compiled)

    def begin_at(self, store: Store, time_ms: int, *, remembers: bool = True) -> None:
        """Go on from a moment of a store's recording, as it stood then.

        Calibrations, what people said, states, and, where it `remembers`, what `new:` knew.
        """
        if remembers:
            then = {place: one.as_of(time_ms) for place, one in store.memories().items()}
            self.engine.novelty.restore({place: one for place, one in then.items() if one})
        for _ in self.feed(store.standing_at(time_ms)):
            pass

    def feed(self, events: Iterable[RecordedEvent]) -> Iterator[Decision]:
        """The decisions that `events` lead to, in their order."""
        batch: list[RecordedEvent] = []
        for event in events:
            if event.is_embedding and event.encoder not in self._encoders:
                self.skipped += 1
            elif event.is_embedding:
                batch.append(event)
            if batch and (not event.is_embedding or len(batch) == BATCH):
                yield from self._judge(batch)
                batch = []
            if event.is_caption:
                yield from self._hear(event)
            elif event.kind == "s":
                self.engine.start()
            elif event.kind == "p" and event.data in self._versions:
                self._use(self._versions[event.data])
            elif event.kind == "r":
                self.engine.release(event.data.decode(), event.device, event.time_ms)
            elif event.kind == "w":
                self.engine.ahead_ms = int(event.data)
            elif event.kind == "f":
                self.engine.tell(event.device, event.data.decode())
            elif event.kind == "c":
                self.engine.calibrate(CameraCalibration.of_json(event.data))
            elif event.kind == "g":
                self.engine.calibrations.forget(event.device)
            elif event.kind == "k":
                self.engine.mark(Mark.of_json(event.data))
        if batch:
            yield from self._judge(batch)

    def caption_of(self, event: RecordedEvent) -> Caption:
        """What the engine gets to hear of a recorded caption."""
        where = (event.device, event.session, event.number, event.frame, event.time_ms)
        return Caption(
            *where,
            late=event.kind == "o",
            embedding=event.vector,
            encoder=event.encoder,
            text=event.data.decode(),
        )

    def caption_margins_q8(self, event: RecordedEvent) -> Int16 | None:
        """int16[C] of a recorded caption; None where nobody asks for captions of its pack."""
        captions = self._compiled.captions
        if captions is None or captions.encoder != event.encoder or not event.vector:
            return None
        found: Int16 = captions.scorer.margins_q8(self.caption_of(event).vector)[0]
        return found

    def margins_q8(self, events: list[RecordedEvent]) -> Int16:
        """int16[B, K] of embeddings."""
        vectors = np.frombuffer(b"".join(event.data for event in events), np.int8)
        encoders = [event.encoder for event in events]
        return self._compiled.margins_q8(vectors.reshape(len(events), -1), encoders)

    def shown(self, event: RecordedEvent) -> tuple[Observation, Int16]:
        """A recorded frame or caption as the engine gets it, with its margins.

        int16[K] or int16[C]; a caption must be one that somebody asks for.
        """
        if not event.is_caption:
            return self.observation_of(event), self.margins_q8([event])[0]
        margins_q8 = self.caption_margins_q8(event)
        assert margins_q8 is not None
        return self.caption_of(event), margins_q8

    def observation_of(self, event: RecordedEvent) -> Observation:
        """What the engine gets to see of a recorded embedding."""
        where = (event.device, event.session, event.number, event.frame)
        return Observation(
            *where,
            event.time_ms,
            event.kind == "l",
            boxes_of(event.boxes, self._columns),
            event.data,
            is_infrared(event.colour),
            event.encoder,
        )

    def _use(self, compiled: CompiledSet) -> None:
        self._compiled = compiled
        self._encoders = {self._encoder_hash, *compiled.others}
        self._columns = compiled.columns
        self.engine.replace(compiled.policies)

    def _hear(self, event: RecordedEvent) -> Iterator[Decision]:
        margins_q8 = self.caption_margins_q8(event)
        if margins_q8 is None:
            return
        self.heard += 1
        caption = self.caption_of(event)
        if self._on_caption is not None:
            self._on_caption(caption, margins_q8)
        yield from self.engine.hear(caption, margins_q8)
        self.engine.take_ended()

    def _judge(self, events: list[RecordedEvent]) -> Iterator[Decision]:
        self.seen += len(events)
        seen = [self.observation_of(event) for event in events]
        margins_q8 = self.margins_q8(events)
        if self._on_batch is not None:
            self._on_batch(seen, self.engine.own_q8(seen, margins_q8))
        for found in self.engine.observe_batch(seen, margins_q8):
            yield from found
        self.engine.take_ended()


def recording_of(
    compiled: CompiledSet, encoder_hash: bytes, store: Store, since_ms: int
) -> Recording:
    """What a store's events say of the policies, for `core.lints`."""
    recording = Recording(compiled)
    replay = Replay(
        compiled, encoder_hash, on_batch=recording.take, on_caption=recording.take_caption
    )
    replay.begin_at(store, since_ms)
    for decision in replay.feed(store.events(since_ms=since_ms)):
        recording.decided(decision)
    return recording


@dataclass
class Comparison:
    """What a replay decided beside what is on record, by policy and camera.

    `same` pairs of alerts, `gained` only in the replay, `lost` only on record; `suppressed` counts
    the replay's by gate, at the times `held_back_ms`; `recorded` are the alerts on record.
    """

    fired: list[Decision] = field(default_factory=list)
    same: int = 0
    gained: list[Decision] = field(default_factory=list)
    lost: list[Decision] = field(default_factory=list)
    suppressed: Counter[str] = field(default_factory=Counter)
    recorded: list[Decision] = field(default_factory=list)
    held_back_ms: list[int] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        """Whether other alerts would have come than are on record."""
        return bool(self.gained or self.lost)

    def days(self, day_of: Callable[[int], str]) -> dict[str, tuple[int, int, int]]:
        """(would fire, on record, suppressed) by day; `day_of` names the day of a time in ms."""
        counts = [
            Counter(day_of(decision.time_ms) for decision in self.fired),
            Counter(day_of(decision.time_ms) for decision in self.recorded),
            Counter(map(day_of, self.held_back_ms)),
        ]
        names = sorted(set().union(*counts))
        return {name: (counts[0][name], counts[1][name], counts[2][name]) for name in names}


def compare(replayed: Iterable[Decision], recorded: Iterable[Decision]) -> Comparison:
    """Match alerts of the same policy and camera by their frame, else within SAME_MS."""
    result = Comparison()
    for decision in replayed:
        if decision.fired:
            result.fired.append(decision)
        else:
            result.suppressed[failed_gate(decision)] += 1
            result.held_back_ms.append(decision.time_ms)
    left: dict[tuple[str, str], list[Decision]] = {}
    for decision in recorded:
        if decision.fired:
            result.recorded.append(decision)
            left.setdefault((decision.policy, decision.device), []).append(decision)
    for decision in result.fired:
        others = left.get((decision.policy, decision.device), [])
        match = min(others, key=lambda other: abs(other.time_ms - decision.time_ms), default=None)
        if match is not None and abs(match.time_ms - decision.time_ms) <= SAME_MS:
            others.remove(match)
            result.same += 1
        else:
            result.gained.append(decision)
    result.lost = sorted(
        (decision for others in left.values() for decision in others), key=lambda d: d.time_ms
    )
    return result


def failed_gate(decision: Decision) -> str:
    """The name of the gate that suppressed a decision."""
    return next((gate.name for gate in decision.gates if not gate.passed), "other")


@dataclass(frozen=True)
class Explanation:
    """What one policy made of one camera's last frame, or caption, at a moment."""

    policy: str
    seen: Observation
    phrase: str
    probability: float
    gates: tuple[Gate, ...]


def explain_at(
    compiled: CompiledSet,
    encoder_hash: bytes,
    store: Store,
    at_ms: int,
    *,
    policy: str,
    camera: str | None = None,
) -> list[Explanation]:
    """The last frame of each camera before a moment, gate by gate, after all frames before it.

    For a policy about captions, the last caption.
    """
    variants = [item for item in compiled.policies if item.policy.name == policy]
    since_ms = at_ms - lead_ms(compiled, policy)
    events = list(store.events(since_ms=since_ms, until_ms=at_ms))
    hears = variants[0].hears
    known = (variants[0].encoder,) if hears else (encoder_hash, *compiled.others)
    last = {
        event.device: index
        for index, event in enumerate(events)
        if (event.is_caption if hears else event.is_embedding)
        and event.encoder in known
        and event.vector
        and variants[0].policy.watches(event.device)
        and camera in (None, event.device)
    }
    held_back = set(last.values())
    replay = Replay(compiled, encoder_hash)
    replay.begin_at(store, since_ms)
    for _ in replay.feed(event for i, event in enumerate(events) if i not in held_back):
        pass
    found = []
    for _, index in sorted(last.items()):
        seen, margins = replay.shown(events[index])
        chosen = next((item for item in variants if item.judges(seen.device, seen.encoder)), None)
        if chosen is None:
            continue  # its examples are of another encoder
        look, gates = replay.engine.explain(chosen, seen, margins)
        probability = probability_of(look.margin_q8)
        found.append(Explanation(policy, seen, look.phrase, probability, gates))
    return found


def lead_ms(compiled: CompiledSet, policy: str) -> int:
    """How far before a moment a replay begins, so that the policy's state is that of then."""
    chosen = next(item.policy for item in compiled.policies if item.policy.name == policy)
    return _DAY_MS + int(1000 * (chosen.cooldown_s + chosen.hold_s + chosen.gone_s))

"""What the store holds, as the rest of the agent has it, and as rows."""

from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import orjson

from moteye.core.decisions import Decision, Gate
from moteye.core.marks import Mark
from moteye.core.memory import Memory
from moteye.core.track import Track

FRAMES, CAPTIONS = ("e", "l"), ("t", "o")


@dataclass(slots=True)  # not frozen: one is made for every frame
class RecordedEvent:
    """One entry of the recording.

    `kind` "e" embedding, "l" late one, "t" caption, "o" one that came late (`data` its text,
    `encoder` its pack's hash, `boxes` its vector, int8[256]), "s" start, "r" release, "f" MQTT
    state, "c" calibration of a camera, "g" a camera is gone, and its calibration, "k" mark, "w" the
    wall clock was set, "p" which policies are in force.

    `data` is int8[256] as bytes for an embedding, the policy's name for a release, the message for
    a state, whose topic stands in `device`; how far the wall clock is ahead, in ms. `colour`
    percent of the frame, -1 where the device did not say; `boxes` by their phrases.
    """

    kind: str
    device: str = ""
    session: int = 0
    number: int = 0
    frame: int = 0
    time_ms: int = 0
    encoder: bytes = b""
    data: bytes = b""
    colour: int = -1
    boxes: bytes | None = None

    @property
    def is_embedding(self) -> bool:
        """Whether it is a frame."""
        return self.kind in FRAMES

    @property
    def is_caption(self) -> bool:
        """Whether it is what a device said of a frame."""
        return self.kind in CAPTIONS

    @property
    def vector(self) -> bytes:
        """int8[256] of a frame or a caption; empty for a caption that an earlier version wrote."""
        return (self.boxes or b"") if self.is_caption else self.data


@dataclass(frozen=True)
class Background:
    """What is kept of a camera: `frames` int8[N, width] as bytes, a sample of `seen` of them."""

    encoder: bytes
    seen: int
    frames: bytes
    calibration: bytes
    width: int = 256


@dataclass
class Batch:
    """Everything that one transaction writes.

    `devices` are (session, window as text, clock offset) by device; `outbox` rows as in the table;
    of cameras that are `gone` the background goes, unless `backgrounds` has a newer one.
    """

    tracks: dict[tuple[str, str], Track] = field(default_factory=dict)
    devices: dict[str, tuple[int, str, int | None]] = field(default_factory=dict)
    events: list[RecordedEvent] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    outbox: list[dict[str, Any]] = field(default_factory=list)
    memories: dict[tuple[str, str], Memory] = field(default_factory=dict)
    backgrounds: dict[str, Background] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    marks: dict[int, Mark] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(vars(self).values())


EVENT = (
    *("kind", "device", "session", "number", "frame", "time_ms"),
    *("encoder", "data", "colour", "boxes"),
)
event_row = attrgetter(*EVENT)
DECISION = (
    *("id", "policy", "device", "fired", "reason", "phrase", "margin_q8", "threshold_q8"),
    *("frame", "session", "time_ms", "due_ms", "gates"),
)
_plain_fields = attrgetter(*DECISION[:-1])
_gate_fields = attrgetter("name", "passed", "text")


def state_text(state: Track | Memory) -> str:
    """A track or a memory as one column."""
    return orjson.dumps(state.plain()).decode()


def decision_row(decision: Decision) -> tuple[Any, ...]:
    """Values in the order of DECISION."""
    gates = orjson.dumps([*map(_gate_fields, decision.gates)]).decode()
    return (*_plain_fields(decision), gates)


def decision_of(row: Any) -> Decision:
    """The decision of a row of the table."""
    values = dict(row._mapping)
    del values["seq"]
    gates = tuple(Gate(*gate) for gate in orjson.loads(values.pop("gates")))
    return Decision(**values, gates=gates)

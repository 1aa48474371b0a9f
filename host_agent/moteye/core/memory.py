"""What one policy has seen at one place: things, each by a few remembered pictures.

A *thing* is told by the whole frame's embedding with it in the picture, which holds where it
stands and what stands around it. Pictures by day and by infrared light are held apart.
All comparisons are of integers.
"""

import base64
from dataclasses import dataclass, field
from math import isqrt
from typing import Any

import numpy as np
import numpy.typing as npt

THINGS = 64  # of one policy at one place; beyond, the one not seen for longest is forgotten
VIEWS = 6  # of one thing in one kind of light; beyond, the one not seen for longest
REFRESH_MS = 60_000  # how exactly a memory knows when something was seen last
ONE_Q12 = 1 << 12
Int8 = npt.NDArray[np.int8]


@dataclass(slots=True)
class View:
    """One remembered picture: int8[256] as bytes."""

    embedding: bytes
    infrared: bool
    last_ms: int


@dataclass(slots=True)
class Thing:
    """Something seen, called by the words that found it or by the name that people gave it."""

    number: int
    name: str
    first_ms: int
    last_ms: int
    views: list[View] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.name}#{self.number}"


@dataclass(frozen=True)
class Match:
    """The remembered thing whose picture is most like a frame; similarity = cosine x 4096."""

    thing: Thing
    view: View
    similarity_q12: int


@dataclass(slots=True)
class Memory:
    """`born_ms` when watching began; `class_ms` when the words held last, None for never.

    `forgot`: how many things had to make room.
    """

    born_ms: int
    class_ms: int | None = None
    things: list[Thing] = field(default_factory=list)
    next_number: int = 1
    forgot: int = 0
    _rows: dict[bool, tuple[list[tuple[Thing, View]], Int8]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def last_ms(self) -> int:
        """When something was added to it or seen again last."""
        return max([self.born_ms, self.class_ms or 0, *(thing.last_ms for thing in self.things)])

    def as_of(self, time_ms: int) -> "Memory | None":
        """What it held at a moment, as far as it can still tell; None before it was born.

        Of a thing that was known by then all pictures are taken: when each came is not kept.
        """
        if self.born_ms > time_ms:
            return None
        things = [
            Thing(
                thing.number,
                thing.name,
                thing.first_ms,
                min(thing.last_ms, time_ms),
                [
                    View(one.embedding, one.infrared, min(one.last_ms, time_ms))
                    for one in thing.views
                ],
            )
            for thing in self.things
            if thing.first_ms <= time_ms
        ]
        seen = self.class_ms is not None and (bool(things) or self.class_ms <= time_ms)
        class_ms = min(self.class_ms, time_ms) if seen and self.class_ms is not None else None
        return Memory(self.born_ms, class_ms, things, self.next_number, self.forgot)

    def match(self, embedding: bytes, *, infrared: bool) -> Match | None:
        """The nearest remembered picture of that light; None where there is none."""
        if infrared not in self._rows:
            pairs = [
                (thing, view)
                for thing in self.things
                for view in thing.views
                if view.infrared is infrared
            ]
            rows = np.frombuffer(b"".join(view.embedding for _, view in pairs), np.int8)
            self._rows[infrared] = pairs, rows.reshape(len(pairs), -1) if pairs else rows
        pairs, rows = self._rows[infrared]
        if not pairs:
            return None
        found = similarities_q12(embedding, rows)
        best = int(found.argmax())
        return Match(*pairs[best], int(found[best]))

    def saw_class(self, time_ms: int) -> bool:
        """The words hold; whether that changed the memory."""
        if self.class_ms is not None and 0 <= time_ms - self.class_ms < REFRESH_MS:
            return False
        self.class_ms = time_ms
        return True

    def saw(self, match: Match, time_ms: int) -> bool:
        """A remembered picture was seen again; whether that changed the memory."""
        if 0 <= time_ms - match.view.last_ms < REFRESH_MS:
            return False
        match.view.last_ms = match.thing.last_ms = time_ms
        return True

    def add_thing(self, name: str, embedding: bytes, *, infrared: bool, time_ms: int) -> Thing:
        """Remember another thing."""
        thing = Thing(self.next_number, name, time_ms, time_ms)
        self.next_number += 1
        thing.views.append(View(embedding, infrared, time_ms))
        self.things.append(thing)
        if len(self.things) > THINGS:
            oldest = min(self.things[:-1], key=lambda one: one.last_ms)
            self.things.remove(oldest)
            self.forgot += 1
        self._rows.clear()
        return thing

    def add_view(self, thing: Thing, embedding: bytes, *, infrared: bool, time_ms: int) -> None:
        """Remember that a thing also looks like this."""
        thing.last_ms = time_ms
        thing.views.append(View(embedding, infrared, time_ms))
        alike = [view for view in thing.views if view.infrared is infrared]
        if len(alike) > VIEWS:
            thing.views.remove(min(alike[:-1], key=lambda view: view.last_ms))
        self._rows.clear()

    def plain(self) -> dict[str, Any]:
        """For a store: a map that JSON takes."""
        return {
            "born_ms": self.born_ms,
            "class_ms": self.class_ms,
            "next": self.next_number,
            "forgot": self.forgot,
            "things": [
                {
                    "number": thing.number,
                    "name": thing.name,
                    "seen_ms": [thing.first_ms, thing.last_ms],
                    "views": [
                        [base64.b85encode(view.embedding).decode(), view.infrared, view.last_ms]
                        for view in thing.views
                    ],
                }
                for thing in self.things
            ],
        }

    @classmethod
    def of_plain(cls, plain: dict[str, Any]) -> "Memory":
        """The memory that `plain` came from."""
        things = []
        for one in plain["things"]:
            views = [View(base64.b85decode(text), dark, ms) for text, dark, ms in one["views"]]
            first_ms, last_ms = one["seen_ms"]
            things.append(Thing(one["number"], one["name"], first_ms, last_ms, views))
        return cls(plain["born_ms"], plain["class_ms"], things, plain["next"], plain["forgot"])


def similarities_q12(embedding: bytes, rows: Int8) -> npt.NDArray[np.int64]:
    """Cosines x 4096, rounded down, of int8[256] and rows int8[N, 256] → int64[N]; 0 for zeros."""
    one = np.frombuffer(embedding, np.int8).astype(np.int64)
    others = rows.astype(np.int64)
    dots = others @ one
    squares = int(one @ one) * np.einsum("nd,nd->n", others, others)
    # Integer roots: a float's may be off by one, and then two machines would not agree.
    norms = np.array([max(1, isqrt(int(square))) for square in squares], np.int64)
    return np.asarray((dots << 12) // norms, np.int64)

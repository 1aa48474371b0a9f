"""What people said of alerts: known, wrong, right, or what the thing is called.

A mark is held against frames of the same camera and light that look like the marked one
(KNOWN_Q12) and show it no more strongly (RISE_Q8): a negative prototype with this camera's own
threshold. `right` changes no decision; it is counted. Undone marks stay on record.
"""

import base64
import json
from dataclasses import dataclass, field, replace

import numpy as np

from moteye.core.language import New, Policy
from moteye.core.memory import ONE_Q12, similarities_q12
from moteye.core.novelty import KNOWN_Q12, RISE_Q8
from moteye.core.seen import Observation

VERDICTS = ("known", "wrong", "right", "name")


@dataclass(frozen=True)
class Mark:
    """One thing that somebody said. `day` is for people; `undone_ms` 0 while it counts."""

    number: int
    time_ms: int
    day: str
    decision: str
    policy: str
    device: str
    verdict: str
    name: str
    phrase: str
    margin_q8: int
    infrared: bool
    embedding: bytes
    undone_ms: int = 0

    def undone(self, time_ms: int) -> "Mark":
        """The same, without effect from now on."""
        return replace(self, undone_ms=time_ms)

    @property
    def text(self) -> str:
        """What was said, in words."""
        said = f"named {self.name}" if self.verdict == "name" else f"marked {self.verdict}"
        return f"{said} on {self.day}"

    def json(self) -> bytes:
        """For the recording."""
        fields = {**vars(self), "embedding": base64.b85encode(self.embedding).decode()}
        return json.dumps(fields, ensure_ascii=False).encode()

    @classmethod
    def of_json(cls, data: bytes) -> "Mark":
        """The mark that `json` came from."""
        fields = json.loads(data)
        return cls(**{**fields, "embedding": base64.b85decode(fields["embedding"])})


@dataclass
class Marks:
    """All marks by number."""

    all: dict[int, Mark] = field(default_factory=dict)

    def restore(self, marks: list[Mark]) -> None:
        """Go on with the marks of an earlier run."""
        self.all = {mark.number: mark for mark in marks}

    def put(self, mark: Mark) -> None:
        """Take a mark, or what became of it."""
        self.all[mark.number] = mark

    def forget(self, numbers: list[int]) -> None:
        """Drop marks that count for nothing any more."""
        for number in numbers:
            self.all.pop(number, None)

    def against(self, policy: Policy, seen: Observation, margin_q8: int) -> str:
        """Why a frame that shows a policy's words counts for nothing; empty where nothing bites."""
        held = [mark for mark in self.all.values() if _holds(mark, policy, seen, margin_q8)]
        if not held or not seen.embedding:
            return ""
        rows = np.frombuffer(b"".join(mark.embedding for mark in held), np.int8)
        found = similarities_q12(seen.embedding, rows.reshape(len(held), -1))
        best = int(found.argmax())
        if found[best] < KNOWN_Q12:
            return ""
        over = (margin_q8 - held[best].margin_q8) / 256
        return f"{held[best].text}: similarity {found[best] / ONE_Q12:.2f}, margin {over:+.2f}"


def _holds(mark: Mark, policy: Policy, seen: Observation, margin_q8: int) -> bool:
    if mark.undone_ms or mark.infrared is not seen.infrared:
        return False
    if margin_q8 >= mark.margin_q8 + RISE_Q8:
        return False
    if mark.verdict == "name":
        return isinstance(policy.new, New) and mark.name in policy.new.known
    same = (mark.policy, mark.device) == (policy.name, seen.device)
    return same and mark.verdict in ("known", "wrong")

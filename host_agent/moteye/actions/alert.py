"""The alert: what a fired decision looks like to actions, subscribers and templates."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from moteye.core.engine import Decision, Ending
from moteye.core.language import pieces
from moteye.errors import ActionError

MAX_CHARS = 65_536
MAX_SECONDS = 1.0
MOST_IN_DIGEST = 100
# A text from outside must neither add a level to a topic or a path nor be a wildcard.
_FLAT = str.maketrans(dict.fromkeys("/\\+#\x00\n\r", "_"))


@dataclass(frozen=True)
class Alert:
    """All of it is plain data.

    `event`: seen, upgraded, escalated, ended or digest; `tag` is the same for all notices of one
    policy and camera, so that the newer may take the older's place; `key` names this notice, for a
    receiver that must not act on it twice. `picture` is the path of the frame that decided, where
    one was saved; `caption` what the camera said last, of a frame `caption_age_s` before that one;
    `alerts` those of a digest.
    """

    id: str
    policy: str
    camera: str
    phrase: str
    probability: float | None
    margin: float
    threshold: float
    time: str
    frame: int
    picture: str | None = None
    event: str = "seen"
    severity: str = "warning"
    tag: str = ""
    key: str = ""
    duration_s: float | None = None
    caption: str = ""
    caption_age_s: float | None = None
    count: int = 1
    alerts: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        decision: Decision,
        probability: float | None,
        unix_ms: int | None = None,
        *,
        severity: str = "warning",
    ) -> "Alert":
        """The alert of a decision that fired, as severe as its policy says or more.

        `unix_ms` is what people call its time.
        """
        return cls(
            id=decision.id,
            policy=decision.policy,
            camera=decision.device,
            phrase=decision.phrase,
            probability=None if probability is None else round(probability, 3),
            margin=round(decision.margin_q8 / 256, 3),
            threshold=round(decision.threshold_q8 / 256, 3),
            time=_moment(decision.time_ms if unix_ms is None else unix_ms),
            frame=decision.frame,
            event="upgraded" if decision.severity else "seen",
            severity=decision.severity or severity,
            tag=f"{decision.policy}/{decision.device}",
            key=decision.id,
        )

    @classmethod
    def of_end(cls, ending: Ending, probability: float | None, *, severity: str) -> "Alert":
        """The notice that an episode has ended, with its length."""
        episode = ending.episode
        return cls(
            id=episode.id,
            policy=ending.policy,
            camera=ending.device,
            phrase=episode.phrase,
            probability=None if probability is None else round(probability, 3),
            margin=round(episode.margin_q8 / 256, 3),
            threshold=round(episode.threshold_q8 / 256, 3),
            time=_moment(ending.time_ms),
            frame=episode.frame,
            event="ended",
            severity=severity,
            tag=f"{ending.policy}/{ending.device}",
            key=f"{episode.id}-ended",
            duration_s=ending.duration_ms / 1000,
        )

    def saying(self, caption: str, age_s: float | None) -> "Alert":
        """The same alert with what the camera said last."""
        return replace(self, caption=caption, caption_age_s=age_s) if caption else self

    def escalated(self, round_number: int) -> "Alert":
        """The same alert once more, since nobody acknowledged it; rounds from 1."""
        return replace(
            self, event="escalated", count=round_number, key=f"{self.id}-escalated-{round_number}"
        )

    def digest(self, others: "list[Alert]") -> "Alert":
        """One alert for itself and those that waited with it."""
        every = [self, *others]
        shown = [
            {name: value for name, value in asdict(one).items() if name not in ("alerts", "count")}
            for one in every[:MOST_IN_DIGEST]
        ]
        return replace(
            self, event="digest", count=len(every), alerts=shown, key=f"{self.id}-digest"
        )

    def with_picture(self, path: str) -> "Alert":
        """The same alert with the path of its picture."""
        return replace(self, picture=path)

    def json(self) -> str:
        """What subscribers and webhooks get."""
        return json.dumps(self.plain(), ensure_ascii=False)

    def plain(self) -> dict[str, Any]:
        """Every field by its name; not to be changed."""
        return vars(self)

    def render(self, template: str) -> str:
        """`template` filled in by Jinja's sandbox. Data is never a template.

        Raises ActionError for a template that does not work, takes longer than MAX_SECONDS or gives
        more than MAX_CHARS.
        """
        return _render(template, self.plain())

    def render_name(self, template: str) -> str:
        """`template` as a topic or a path: what is put in is one level of it."""
        flat = {
            name: _one_level(value) if isinstance(value, str) else value
            for name, value in self.plain().items()
        }
        return _render(template, flat)


def _render(template: str, values: Mapping[str, Any]) -> str:
    deadline = time.monotonic() + MAX_SECONDS
    parts, size = [], 0
    try:
        for part in pieces(template, values):
            parts.append(part)
            size += len(part)
            if size > MAX_CHARS:
                raise ValueError(f"it gives more than {MAX_CHARS:,} characters")
            if time.monotonic() > deadline:
                raise ValueError(f"it takes longer than {MAX_SECONDS:g} s")
    except ValueError as error:
        reason = str(error).replace("|", ": ", 1)
        raise ActionError(f"template {template[:80]!r}: {reason}", permanent=True) from error
    return "".join(parts)


def _one_level(text: str) -> str:
    flat = text.translate(_FLAT)
    return "_" if flat in (".", "..") else flat


def _moment(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")

"""The alert: what a fired decision looks like to actions, subscribers and templates."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from moteye.core.engine import Decision
from moteye.errors import ActionError

_TEMPLATES = ImmutableSandboxedEnvironment(autoescape=False)


@dataclass(frozen=True)
class Alert:
    """All of it is plain data.

    `picture` is the path of the frame that decided, where one was saved.
    """

    id: str
    policy: str
    camera: str
    phrase: str
    probability: float
    margin: float
    threshold: float
    time: str
    frame: int
    picture: str | None = None

    @classmethod
    def of(cls, decision: Decision, probability: float, unix_ms: int | None = None) -> "Alert":
        """The alert of a decision that fired; `unix_ms` is what people call its time."""
        time_ms = decision.time_ms if unix_ms is None else unix_ms
        moment = datetime.fromtimestamp(time_ms / 1000, UTC)
        return cls(
            id=decision.id,
            policy=decision.policy,
            camera=decision.device,
            phrase=decision.phrase,
            probability=round(probability, 3),
            margin=round(decision.margin_q8 / 256, 3),
            threshold=round(decision.threshold_q8 / 256, 3),
            time=moment.isoformat(timespec="milliseconds"),
            frame=decision.frame,
        )

    def with_picture(self, path: str) -> "Alert":
        """The same alert with the path of its picture."""
        return replace(self, picture=path)

    def json(self) -> str:
        """What subscribers and webhooks get."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def render(self, template: str) -> str:
        """`template` filled in by Jinja's sandbox. Data is never a template.

        Raises ActionError for a template that does not work.
        """
        try:
            return _TEMPLATES.from_string(template).render(asdict(self))
        except (TemplateError, TypeError, ValueError) as error:
            raise ActionError(f"template {template!r}: {error}", permanent=True) from error

"""A notification through apprise, at most once: what may have arrived is not sent again."""

import asyncio
import logging
import re
from contextvars import ContextVar

import apprise
from pydantic import SecretStr

from moteye.actions.alert import Alert
from moteye.actions.links import FeedbackLinks
from moteye.core.language import NotifyAction
from moteye.errors import ActionError

TIMEOUT_S = 60.0
_ANSWERED = re.compile(r"error=[1-5]\d\d\b")  # apprise's words for an HTTP answer that says no


class Notify:
    """Sends to the targets of the configuration, by name; with `links` one may answer by a tap."""

    def __init__(self, targets: dict[str, SecretStr], links: FeedbackLinks | None = None) -> None:
        self._targets = targets
        self._links = links

    def message(self, alert: Alert, action: NotifyAction) -> tuple[str, str]:
        """(title, body). Raises ActionError for an unknown target or a broken template."""
        for name in action.to:
            if name not in self._targets:
                known = ", ".join(self._targets) or "none"
                raise ActionError(
                    f"notify target {name!r} is not under actions: notify: (there: {known})",
                    permanent=True,
                )
        return alert.render(action.title), alert.render(action.body)

    async def send(self, alert: Alert, action: NotifyAction) -> None:
        """Raises ActionError, permanent or with the outcome unknown."""
        title, body = self.message(alert, action)
        if self._links is not None:  # last, since they are not for logs
            body = f"{body}\n\n{self._links.lines(alert.id)}"
        picture = alert.picture if action.picture else None
        for name in action.to:
            sender = apprise.Apprise()
            if not sender.add(self._targets[name].get_secret_value()):
                raise ActionError(f"notify target {name!r}: not an apprise URL", permanent=True)
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    reasons = await asyncio.to_thread(_send, sender, title, body, picture)
            except TimeoutError as error:
                raise ActionError(
                    f"notify {name}: no end after {TIMEOUT_S:.0f} s", unknown=True
                ) from error
            if reasons is not None:
                answered = bool(_ANSWERED.search(reasons)) and len(action.to) == 1
                raise ActionError(
                    f"notify {name}: {self._without_secrets(reasons)}",
                    permanent=answered,
                    unknown=not answered,
                )

    def _without_secrets(self, text: str) -> str:
        """`text` without any part of a target's URL that is long enough to be a secret."""
        for target in self._targets.values():
            for part in re.split(r"[/:@?&=]", target.get_secret_value()):
                if len(part) >= 6:
                    text = text.replace(part, "***")
        return text


_SAID: ContextVar[list[str] | None] = ContextVar("said", default=None)


class _Listener(logging.Handler):
    """Collects what apprise says, in its worker threads too, by whom it says it to."""

    def emit(self, record: logging.LogRecord) -> None:
        said = _SAID.get()
        if said is not None:
            said.append(record.getMessage())


_LOGGER = logging.getLogger("apprise")
_LOGGER.propagate = False  # its lines may hold addresses and tokens
_LOGGER.addHandler(_Listener(logging.WARNING))


def _send(sender: apprise.Apprise, title: str, body: str, picture: str | None) -> str | None:
    """None when it was sent, else what apprise said on the way."""
    said: list[str] = []
    _SAID.set(said)
    sent = sender.notify(title=title, body=body, attach=picture)
    return None if sent else "; ".join(said)[:500] or "the service did not take it"

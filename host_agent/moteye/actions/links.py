"""One-tap links in notifications: known, wrong, name it. Each is for one alert, and for a week.

`<address>/feedback/<alert>/<said>?until=<unix s>&sig=…`; the signature is an HMAC over the three
others with a key of the agent's own, so that who got the notification needs no token, and can say
nothing else with it. Looking at a link changes nothing (messengers do that for a preview): the page
behind it asks with a POST.
"""

import base64
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from moteye.errors import ConfigError

SAID = {"known": "It is known", "wrong": "It is wrong", "name": "Name it"}
VALID_S = 7 * 86_400
_KEY_BYTES = 32
_SIGNATURE_BYTES = 16


class LinkRefused(ValueError):
    """A link that the agent did not make, or one that is too old."""


class FeedbackLinks:
    """Makes and checks links to `address`, where phones reach the agent's API."""

    def __init__(self, address: str, key: bytes, now_s: Callable[[], float] = time.time) -> None:
        self._address = address.rstrip("/")
        self._key = key
        self._now_s = now_s

    def of(self, alert: str) -> dict[str, str]:
        """The links of an alert, by what they say."""
        until_s = int(self._now_s()) + VALID_S
        return {
            said: f"{self._address}/feedback/{alert}/{said}?until={until_s}"
            f"&sig={self._signature(alert, said, until_s)}"
            for said in SAID
        }

    def lines(self, alert: str) -> str:
        """The links as the lines that end a notification."""
        return "\n".join(f"{SAID[said]}: {link}" for said, link in self.of(alert).items())

    def check(self, alert: str, said: str, until: str, signature: str) -> None:
        """Raises LinkRefused for what `of` did not give, or gave too long ago."""
        valid = until.isascii() and until.isdigit() and len(until) < 12
        wanted = self._signature(alert, said, int(until) if valid else 0)
        if not hmac.compare_digest(wanted.encode(), signature.encode()) or not valid:
            raise LinkRefused("this link is not one that the agent made")
        if self._now_s() > int(until):
            raise LinkRefused("this link is too old: say it with `moteye feedback`")

    def _signature(self, alert: str, said: str, until_s: int) -> str:
        content = f"feedback\n{alert}\n{said}\n{until_s}".encode()
        digest = hmac.new(self._key, content, hashlib.sha256).digest()[:_SIGNATURE_BYTES]
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def link_key(path: Path) -> bytes:
    """The key of a file that only its owner reads; made where there is none. Raises ConfigError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        key = path.read_bytes()
        if len(key) != _KEY_BYTES:
            raise ConfigError(f"{path}: not a key of {_KEY_BYTES} bytes; delete it") from None
        return key
    with os.fdopen(handle, "wb") as file:
        file.write(key := secrets.token_bytes(_KEY_BYTES))
    return key

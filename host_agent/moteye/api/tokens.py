"""Who may ask what: tokens with scopes. Only their hashes are kept; none is made by default."""

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from moteye.errors import ConfigError

SCOPES = {
    "read": "see decisions, cameras and policies",
    "act": "acknowledge, try again, install, switch policies",
    "metrics": "read the metrics",
}


@dataclass(frozen=True)
class Token:
    """A token's name, what it may do, and the SHA-256 of it in hexadecimal."""

    name: str
    scopes: tuple[str, ...]
    digest: str


class Tokens:
    """The tokens of a file, which is read anew when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._all: list[Token] = []

    def all(self) -> list[Token]:
        """Every token. Raises ConfigError for a file that holds something else."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._all = None, []
            return self._all
        if self._stamp != (status.st_mtime_ns, status.st_size):
            try:
                content = json.loads(self._path.read_text())
                self._all = [Token(t["name"], tuple(t["scopes"]), t["digest"]) for t in content]
            except (OSError, ValueError, TypeError, KeyError) as error:
                raise ConfigError(f"{self._path}: not a file of tokens") from error
            self._stamp = (status.st_mtime_ns, status.st_size)
        return self._all

    def find(self, secret: str) -> Token | None:
        """The token that `secret` is. All are compared, each in constant time."""
        digest = hashlib.sha256(secret.encode()).hexdigest()
        found = [token for token in self.all() if hmac.compare_digest(token.digest, digest)]
        return found[0] if found else None

    def add(self, name: str, scopes: list[str]) -> str:
        """Make a token; what it returns is kept nowhere. Raises ConfigError."""
        unknown = [scope for scope in scopes if scope not in SCOPES]
        if unknown or not scopes:
            wrong = f"unknown scope {unknown[0]!r}" if unknown else "no scope"
            raise ConfigError(f"{wrong}: one or more of {', '.join(SCOPES)}")
        if any(token.name == name for token in self.all()):
            raise ConfigError(f"there is a token {name!r} already: remove it first")
        secret = f"mte_{secrets.token_urlsafe(32)}"
        digest = hashlib.sha256(secret.encode()).hexdigest()
        self._save([*self.all(), Token(name, tuple(dict.fromkeys(scopes)), digest)])
        return secret

    def remove(self, name: str) -> None:
        """Raises ConfigError where there is none of that name."""
        left = [token for token in self.all() if token.name != name]
        if len(left) == len(self.all()):
            raise ConfigError(f"there is no token {name!r}")
        self._save(left)

    def _save(self, tokens: list[Token]) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        beside.unlink(missing_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump([asdict(token) for token in tokens], file)
        beside.replace(self._path)

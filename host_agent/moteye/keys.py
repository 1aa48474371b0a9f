"""The keys of a fleet: a file that only its owner can read, or the environment.

One fleet key signs; while devices change over, a second one waits in `next`. Devices never see a
fleet key: each has a key derived from it and its own id. No key is ever logged.
"""

import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from moteye_protocol.signing import KEY_BYTES, device_key

from moteye.errors import ConfigError

DEFAULT_FILE = Path("moteye-keys.json")
VARIABLE = "MOTEYE_FLEET_KEY"


@dataclass(frozen=True)
class FleetKeys:
    """`current` signs; `next` is only handed to devices until it takes its place."""

    current: bytes = field(repr=False)
    next: bytes | None = field(repr=False, default=None)

    @classmethod
    def new(cls) -> "FleetKeys":
        """Keys by chance."""
        return cls(secrets.token_bytes(KEY_BYTES))

    def device_keys(self, device_id: str) -> list[bytes]:
        """What a device accepts: one key, or two during a rotation."""
        return [device_key(key, device_id) for key in (self.current, self.next) if key]

    def signing_key(self, device_id: str) -> bytes:
        """What commands to a device are signed with."""
        return device_key(self.current, device_id)

    def rotated(self) -> "FleetKeys":
        """With a next key. Raises ConfigError where a rotation is under way already."""
        if self.next is not None:
            raise ConfigError("a rotation is under way: end it with `moteye keys rotate --finish`")
        return FleetKeys(self.current, secrets.token_bytes(KEY_BYTES))

    def finished(self) -> "FleetKeys":
        """The next key alone. Raises ConfigError where there is none."""
        if self.next is None:
            raise ConfigError("no rotation is under way: begin one with `moteye keys rotate`")
        return FleetKeys(self.next)

    def save(self, path: Path, *, new: bool = False) -> None:
        """Write the file, for its owner's eyes only; with `new` it must not be there yet.

        Raises ConfigError.
        """
        content = {"current": self.current.hex(), "next": self.next.hex() if self.next else None}
        if new and path.exists():
            raise ConfigError(f"{path} is there already; devices may depend on it")
        try:
            beside = path.with_name(path.name + ".new")
            beside.unlink(missing_ok=True)
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                json.dump(content, file)
            beside.replace(path)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from error


def load_keys(path: Path | None) -> FleetKeys | None:
    """From the environment, or else the file; None where neither is named.

    Raises ConfigError for a file that others may read, or that holds no keys.
    """
    value = os.environ.get(VARIABLE)
    if value:
        return FleetKeys(_key(value, VARIABLE))
    if path is None:
        return None
    try:
        mode = path.stat().st_mode
        content = json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; make keys with `moteye keys init`") from error
    except ValueError:
        raise ConfigError(f"{path}: not a file of keys") from None
    if mode & 0o077:
        raise ConfigError(f"{path}: others may read it; run `chmod 600 {path}`")
    if not isinstance(content, dict) or "current" not in content:
        raise ConfigError(f"{path}: not a file of keys")
    following = content.get("next")
    where = str(path)
    return FleetKeys(_key(content["current"], where), _key(following, where) if following else None)


def _key(text: object, where: str) -> bytes:
    try:
        key = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{where}: a key is {2 * KEY_BYTES} hexadecimal digits")
    return key

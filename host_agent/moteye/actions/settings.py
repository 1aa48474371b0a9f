"""What the agent's owner allows actions to reach: under `actions:` of the configuration.

Addresses, tokens and programs stand here, never in a policy. A policy names them.
"""

import base64
import binascii
import ipaddress
import re
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_serializer,
    field_validator,
)

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
_PLACE = re.compile(r"(?P<address>[0-9.]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _signing_key(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError("a signing secret reads whsec_ and 24 to 64 bytes in base64")
    return secret


SigningSecret = Annotated[SecretStr, AfterValidator(_signing_key)]


class WebhookSettings(_Part):
    """`allow` private networks, and single places (address:port) on this machine.

    `secrets` sign by name, two of a name while one takes over from the other; `default` signs
    where a policy names none.
    """

    allow: list[str] = []
    secrets: dict[Name, Annotated[list[SigningSecret], Field(min_length=1, max_length=2)]] = {}

    @field_validator("secrets", mode="before")
    @classmethod
    def _one_or_two(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {k: v if isinstance(v, list) else [v] for k, v in value.items()}

    @field_validator("allow")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for entry in value:
            if _PLACE.fullmatch(entry):
                continue
            try:
                network = ipaddress.ip_network(entry)
            except ValueError:
                raise ValueError(
                    f"{entry!r} is neither a network (192.168.1.0/24) nor a place (127.0.0.1:1880)"
                ) from None
            if network.is_loopback or network.is_link_local:
                raise ValueError(
                    f"{entry}: this machine is allowed one place at a time (127.0.0.1:1880), "
                    "link-local addresses never"
                )
        return value


class HomeAssistantSettings(_Part):
    """Where Home Assistant's API is, and a long-lived token for it."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s@]+$")]
    token: SecretStr


class CommandSettings(_Part):
    """One program that policies may run: its whole argument list, never a shell."""

    argv: Annotated[list[str], Field(min_length=1, repr=False)]
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0

    @field_serializer("argv")
    def _program_only(self, argv: list[str]) -> list[str]:
        """An argument may be a token: none is shown."""
        return argv[:1] + ["…"] * (len(argv) - 1)

    @field_validator("argv")
    @classmethod
    def _whole(cls, value: list[str]) -> list[str]:
        if not value[0].startswith("/"):
            raise ValueError(f"{value[0]!r}: the program's full path is wanted, /usr/bin/…")
        if any("\x00" in part for part in value):
            raise ValueError("a NUL in an argument")
        return value


class ActionSettings(_Part):
    """All of `actions:`. `notify` maps a name to an apprise URL, which may carry a token."""

    notify: dict[Name, SecretStr] = {}
    webhook: WebhookSettings = WebhookSettings()
    home_assistant: HomeAssistantSettings | None = None
    commands: dict[Name, CommandSettings] = {}
    pictures_mb: Annotated[int, Field(ge=1)] = 200
    dry_run: bool = False

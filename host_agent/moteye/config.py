"""Settings of the agent.

Flags over environment (`MOTEYE_…`) over the configuration file over defaults.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from moteye.actions.settings import ActionSettings
from moteye.core.rollout import Plan, parse_groups, parse_share
from moteye.errors import ConfigError
from moteye.link.connection import BrokerUrl
from moteye.link.tls import NO_FILES, TlsFiles
from moteye.resources import DEFAULT_MODEL
from moteye.store import default_url

_ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104  compared with, never bound to
DEFAULT_FILE = Path("moteye.yaml")


class Settings(BaseSettings):
    """All settings with their defaults. What may carry a secret is never shown."""

    model_config = SettingsConfigDict(
        env_prefix="MOTEYE_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    policies: Annotated[Path, Field(description="a policy file or a folder of them")] = Path(
        "policies"
    )
    broker: Annotated[
        SecretStr | None,
        Field(description="mqtt[s]://[user:password@]host[:port]; none: the embedded broker"),
    ] = None
    tls_ca: Annotated[
        Path | None,
        Field(description="mqtts: the authority that signed the broker's certificate (PEM)"),
    ] = None
    tls_cert: Annotated[
        Path | None, Field(description="mqtts: our own certificate, where the broker wants one")
    ] = None
    tls_key: Annotated[
        Path | None, Field(description="mqtts: its private key, readable by its owner only")
    ] = None
    listen: Annotated[
        str, Field(description="host:port of the embedded broker", pattern=r"^[^\s:]+:\d{1,5}$")
    ] = "127.0.0.1:1883"
    client_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "moteye-agent"
    keys: Annotated[
        Path | None, Field(description="the fleet's keys, made by `moteye keys init`")
    ] = None
    space: Annotated[str, Field(description="the embedding space, by its device model")] = (
        DEFAULT_MODEL
    )
    dim: Annotated[int, Field(description="dimension that decisions use")] = 64
    devices: Annotated[
        list[Annotated[str, Field(pattern=r"^[A-Za-z0-9_*?-]{1,64}$")]],
        Field(
            description="ids of the devices that get this agent's prototype sets, with * and ?; "
            "none: those that its policies watch"
        ),
    ] = []
    max_age_s: Annotated[
        float, Field(gt=0, description="frames that arrive later than this alert nobody")
    ] = 60.0

    home_assistant: Annotated[
        bool, Field(description="announce cameras and alerts to Home Assistant over MQTT")
    ] = False
    home_assistant_prefix: Annotated[
        str, Field(description="its discovery prefix", pattern=r"^[^+#\x00/]+(/[^+#\x00/]+)*$")
    ] = "homeassistant"
    sets: Annotated[
        Literal["auto", "ask"],
        Field(description="prototype sets reach devices by themselves, or when somebody says so"),
    ] = "auto"

    api: Annotated[
        str | None,
        Field(description="host:port of the HTTP API; none: off", pattern=r"^[^\s:]+:\d{1,5}$"),
    ] = None

    public_url: Annotated[
        str | None,
        Field(
            description="where phones reach the API, http://192.168.1.5:8765: notifications get "
            "links that say what an alert was; none: no links",
            pattern=r"^https?://[^\s@?#]+$",
        ),
    ] = None

    store: Annotated[
        SecretStr | None,
        Field(
            description="sqlite:///path, postgresql://…, sqlite:// (memory); "
            "none: a file in the user's state folder"
        ),
    ] = None
    rollout: Annotated[
        str, Field(description="groups that a change of policies reaches one after the other")
    ] = "100%"
    rollout_max_error: Annotated[
        str, Field(description="share of a group's devices that may fail")
    ] = "2%"
    record_days: Annotated[float, Field(description="how long events are kept", ge=0)] = 30.0
    camera_background: Annotated[
        bool, Field(description="take each camera's scores by what it usually shows")
    ] = True
    record_mb: Annotated[int, Field(description="most megabytes of recorded events", ge=1)] = 500

    actions: Annotated[
        ActionSettings, Field(description="what policies' actions may reach; see docs/actions.md")
    ] = ActionSettings()

    @field_validator("dim")
    @classmethod
    def _nested(cls, value: int) -> int:
        if value not in (16, 32, 64, 128, 256):
            raise ValueError("one of 16, 32, 64, 128, 256")
        return value

    @field_validator("rollout")
    @classmethod
    def _groups(cls, value: str) -> str:
        Plan(parse_groups(value))
        return value

    @field_validator("rollout_max_error")
    @classmethod
    def _share(cls, value: str) -> str:
        Plan(max_error=parse_share(value))
        return value

    @field_validator("public_url")
    @classmethod
    def _leads_somewhere(cls, value: str | None, known: ValidationInfo) -> str | None:
        if value is not None and known.data.get("api") is None:
            raise ValueError("it leads to the API, which is off: give that a place with `api:`")
        return value

    @property
    def plan(self) -> Plan:
        """How a change of policies reaches the devices."""
        return Plan(parse_groups(self.rollout), parse_share(self.rollout_max_error))

    @property
    def store_url(self) -> str:
        """Where the store is; may carry a password."""
        return self.store.get_secret_value() if self.store is not None else default_url()

    @property
    def sets_folder(self) -> Path | None:
        """Where prototype sets and rollouts are kept: beside the store; None in memory."""
        url = self.store_url
        if url in ("sqlite://", "sqlite:///:memory:"):
            return None
        if not url.startswith("sqlite:///") and "://" in url:
            url = default_url()
        path = Path(url.removeprefix("sqlite:///"))
        return path.with_name(f"{path.stem}-sets")

    @property
    def listen_address(self) -> tuple[str, int]:
        """Host and port that the embedded broker listens on."""
        host, port = self.listen.rsplit(":", 1)
        return host, int(port)

    @property
    def broker_url(self) -> BrokerUrl:
        """Where to connect: the broker that was named, or the embedded one."""
        files = TlsFiles(self.tls_ca, self.tls_cert, self.tls_key)
        if self.broker is not None:
            return BrokerUrl.parse(self.broker.get_secret_value(), files)
        if files != NO_FILES:
            raise ConfigError("tls_ca, tls_cert and tls_key expect a broker mqtts://…")
        host, port = self.listen_address
        return BrokerUrl("127.0.0.1" if host in _ANY_ADDRESS else host, port, tls=False)


def load_settings(file: Path | None = None, **flags: Any) -> Settings:
    """Settings from all sources; a flag that is None was not given.

    Raises ConfigError naming the setting and what it should be.
    """
    if file is not None and not file.is_file():
        raise ConfigError(f"{file}: no such configuration file")
    chosen = file or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)

    class _Sourced(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
            if chosen is not None:
                sources.append(YamlConfigSettingsSource(settings_cls, yaml_file=chosen))
            return tuple(sources)

    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return _Sourced(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"setting {name!r} ({_where(name, given, chosen)}): {reason}") from None


def _where(name: str, given: dict[str, Any], file: Path | None) -> str:
    if name in given:
        return f"flag --{name.replace('_', '-')}"
    return (
        f"{file} or the environment variable MOTEYE_{name.upper()}"
        if file
        else f"MOTEYE_{name.upper()}"
    )

"""Options and set-up that several subcommands share."""

import logging
import sys
import time
from pathlib import Path
from typing import Annotated

import structlog
import typer

from moteye.core.language import duration_s
from moteye.errors import ConfigError

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="configuration file [default: moteye.yaml if there]")
]
BrokerOption = Annotated[
    str | None,
    typer.Option(
        "--broker", help="mqtt[s]://[user:password@]host[:port] instead of the embedded one"
    ),
]
TlsCaOption = Annotated[
    Path | None,
    typer.Option("--tls-ca", help="mqtts: who signed the broker's certificate (PEM file)"),
]
TlsCertOption = Annotated[
    Path | None,
    typer.Option("--tls-cert", help="mqtts: our certificate, where the broker wants one"),
]
TlsKeyOption = Annotated[Path | None, typer.Option("--tls-key", help="mqtts: its private key")]
PoliciesOption = Annotated[
    Path | None, typer.Option("--policies", help="policy file or folder [default: policies]")
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="sqlite:///path, postgresql://… or sqlite:// [default: a file in the state folder]",
    ),
]


def set_up_logs(*, as_json: bool = False, level: int = logging.INFO) -> None:
    """Logs to standard error: for people, or one JSON object a line."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=22)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso" if as_json else "%H:%M:%S"),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def since_moment_ms(text: str) -> int:
    """The moment, unix ms, that lies a span such as 30d back. Raises ConfigError."""
    try:
        return int(time.time() * 1000) - int(1000 * duration_s(text))
    except ValueError as error:
        reason, _, hint = str(error).partition("|")
        raise ConfigError(f"--since {text}: {reason} ({hint})") from None

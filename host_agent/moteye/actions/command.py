"""A program of the configuration's list, at most once; never a shell (T43).

Its arguments are those of the configuration. What the alert says goes to it as JSON on standard
input and as variables MOTEYE_…; nothing else of the agent's environment does.
"""

import asyncio
import contextlib
import os
import re
import signal
from dataclasses import asdict

import structlog

from moteye.actions.alert import Alert
from moteye.actions.settings import CommandSettings
from moteye.core.language import CommandAction
from moteye.errors import ActionError

log = structlog.get_logger("moteye.actions")
KEPT_BYTES = 2048
_SECRET = re.compile(r"(?<![\w/-])[\w~+=][\w.~+=-]{7,}")  # neither a flag nor a path
_PASSED_ON = ("PATH", "HOME", "LANG", "TZ", "USER")


class Command:
    """Runs programs by the name that the configuration gives them."""

    def __init__(self, commands: dict[str, CommandSettings]) -> None:
        self._commands = commands

    def settings(self, action: CommandAction) -> CommandSettings:
        """Raises ActionError for a name that is not on the list."""
        found = self._commands.get(action.run)
        if found is None:
            known = ", ".join(self._commands) or "none"
            raise ActionError(
                f"command {action.run!r} is not under actions: commands: (there: {known})",
                permanent=True,
            )
        return found

    async def run(self, alert: Alert, action: CommandAction) -> None:
        """Raises ActionError: permanent for another exit status than 0, unknown when cut short."""
        settings = self.settings(action)
        try:
            process = await asyncio.create_subprocess_exec(
                *settings.argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=_environment(alert),
                start_new_session=True,
            )
        except OSError as error:
            reason = f"command {action.run}: {error.strerror} ({settings.argv[0]})"
            raise ActionError(reason, permanent=True) from error
        try:
            async with asyncio.timeout(settings.timeout_s):
                output, _ = await asyncio.gather(_tail(process), _feed(process, alert))
                status = await process.wait()
        except TimeoutError as error:
            raise ActionError(
                f"command {action.run}: stopped after {settings.timeout_s:g} s", unknown=True
            ) from error
        finally:
            # The program and whatever it began; nothing is left behind.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                await process.wait()
        if status != 0:
            raise ActionError(
                f"command {action.run}: exit status {status}: {_hidden(output, settings)}".rstrip(
                    ": "
                ),
                permanent=True,
            )


def _hidden(output: str, settings: CommandSettings) -> str:
    """What a program said, without the words that it was given: one may be a token."""
    given = {word for argument in settings.argv[1:] for word in _SECRET.findall(argument)}
    for word in sorted(given, key=len, reverse=True):
        output = output.replace(word, "…")
    return output


def _environment(alert: Alert) -> dict[str, str]:
    given = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    for name, value in asdict(alert).items():
        if isinstance(value, (str, int, float)):
            given[f"MOTEYE_{name.upper()}"] = str(value).replace("\x00", "")
    return given


async def _feed(process: asyncio.subprocess.Process, alert: Alert) -> None:
    assert process.stdin is not None
    with contextlib.suppress(ConnectionError):
        process.stdin.write(alert.json().encode())
        await process.stdin.drain()
        process.stdin.close()


async def _tail(process: asyncio.subprocess.Process) -> str:
    """The last KEPT_BYTES that the program said, in one line."""
    assert process.stdout is not None
    kept = b""
    while chunk := await process.stdout.read(65536):
        kept = (kept + chunk)[-KEPT_BYTES:]
    return " ".join(kept.decode(errors="replace").split())

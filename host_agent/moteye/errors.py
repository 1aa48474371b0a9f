"""Every error of the agent, grouped by who can mend it.

MoteyeError
├── ConfigError        the configuration file, environment or flags
├── PolicyErrors       one or more policy files: each problem has file, line, column and a
│                      suggestion
├── StoreError         the database cannot be opened, read or written
├── SpaceError         the shipped encoder, text tower or bank does not fit together
├── LinkError          the broker cannot be reached or refuses
│   └── DeviceRefused  a device answered a command with a code
├── FleetError         a rollout, rollback or set that cannot be had
├── DeviceTimeout      a device did not answer in time
├── ActionError        an action of a policy did not succeed, or nobody knows whether
├── FeedbackError      what somebody said of an alert cannot be taken: no such alert, no name
├── ImageError         a picture that cannot be read (imaging.py)
├── ApiError           the HTTP API refused a client (client.py)
└── ModelError         a .tflite that cannot be compiled: operator and tensor (compiler/error.py)
"""

from dataclasses import dataclass

from moteye_protocol import wire


class MoteyeError(Exception):
    """Base of all errors that the agent explains in a sentence.

    The CLI prints it without a traceback.
    """


class ConfigError(MoteyeError):
    """A setting is missing, unknown or out of range; the text names it and its source."""


class SpaceError(MoteyeError):
    """Model files that do not belong together; the text names the file and what it should hold."""


class StoreError(MoteyeError):
    """The database does not open, or did not take a batch; the text names it."""


class FeedbackError(MoteyeError):
    """A mark that cannot be made; the text says of what and what to do."""


class LinkError(MoteyeError):
    """The broker cannot be reached, or the conversation with it broke."""


class FleetError(MoteyeError):
    """A rollout that cannot begin or go on; the text says why, and what there is."""


class AgentSilent(FleetError):
    """An agent that did not answer a command in time; it may have done it."""


class DeviceTimeout(MoteyeError):
    """No answer from a device; the text names the device, the operation and the time waited."""


class ActionError(MoteyeError):
    """An action did not succeed; the text says what was tried and what came back.

    `permanent`: trying again will not help. `unknown`: it may have been done all the same.
    `retry_after_s`: the receiver asked for that much time.
    """

    def __init__(
        self,
        text: str,
        *,
        permanent: bool = False,
        unknown: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(text)
        self.permanent = permanent
        self.unknown = unknown
        self.retry_after_s = retry_after_s


class DeviceRefused(LinkError):
    """A device answered with another code than `ok`."""

    def __init__(self, device: str, operation: str, code: str) -> None:
        hint = wire.CODES.get(code, "a code this version does not know")
        super().__init__(f"{device} refused {operation}: {code} ({hint})")
        self.code = code


@dataclass(frozen=True)
class Problem:
    """One mistake in one file. `line` and `column` count from 1; `suggestion` may be empty."""

    path: str
    line: int
    column: int
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        hint = f" ({self.suggestion})" if self.suggestion else ""
        return f"{self.path}:{self.line}:{self.column}: {self.message}{hint}"


class PolicyErrors(MoteyeError):
    """Everything that is wrong with one or more policy files."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems

"""What a check found."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One line of the report; `todo` says what to do where it is not `ok`."""

    state: Literal["ok", "warn", "fail"]
    text: str
    todo: str = ""

    def __str__(self) -> str:
        return f"{self.state:5}{self.text}" + (f"\n     → {self.todo}" if self.todo else "")


def ok(text: str) -> Finding:
    """All is well."""
    return Finding("ok", text)


def warn(text: str, todo: str) -> Finding:
    """Worth a look; does not fail the examination."""
    return Finding("warn", text, todo)


def fail(text: str, todo: str) -> Finding:
    """Has to be mended."""
    return Finding("fail", text, todo)

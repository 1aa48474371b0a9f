"""Policies that somebody has switched off, kept over restarts."""

import contextlib
import json
from pathlib import Path

from moteye.core.language import Policy
from moteye.whole_file import write_whole


class PolicySwitches:
    """`keep` leaves out what is off; `known` are all policies of the files, on or off."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.known: list[str] = []
        self._off: set[str] = set()
        with contextlib.suppress(OSError, ValueError, TypeError):
            self._off = {str(name) for name in json.loads(path.read_text())}

    def keep(self, found: list[Policy]) -> list[Policy]:
        """The policies that are on."""
        self.known = [policy.name for policy in found]
        return [policy for policy in found if policy.name not in self._off]

    def states(self) -> dict[str, bool]:
        """Every known policy, and whether it is on."""
        return {name: name not in self._off for name in self.known}

    def switch(self, name: str, *, on: bool) -> bool:
        """Write it down; whether that changes anything. Raises OSError."""
        before = set(self._off)
        (self._off.discard if on else self._off.add)(name)
        if self._off == before:
            return False
        write_whole(self._path, json.dumps(sorted(self._off)).encode())
        return True

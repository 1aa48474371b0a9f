"""Commands to the agent that were carried out lately, and their answers, also over a restart.

A command is written down before it is begun and again when it is answered, each time in a new file
that takes the old one's place: whenever the agent is killed, nothing is done twice.
"""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import structlog

from moteye.whole_file import write_whole

log = structlog.get_logger("moteye.fleet")
MOST_COMMANDS = 256
MOST_KEPT_CHARS = 65_536  # a longer answer is not written down, only that there was one
_UNDER_WAY = ""


class CommandAnswers:
    """`get` before a command, `begin` and `end` around it. Without a path it is memory only.

    A command is remembered for `ttl_ms` after it was issued; then it is too old to be obeyed.
    """

    def __init__(self, path: Path | None, ttl_ms: int, interrupted: Callable[[str], str]) -> None:
        self._path = path
        self._ttl_ms = ttl_ms
        self._all: dict[str, tuple[int, str]] = {}  # by tid: when it was issued, the answer
        self._kept: dict[str, tuple[int, str]] = {}
        if path is not None:
            self._all = {
                tid: (issued, text or interrupted(tid)) for tid, issued, text in _read(path)
            }
            self._kept = dict(self._all)

    def get(self, tid: str) -> str | None:
        """The answer that a command was given."""
        return self._all[tid][1] if tid in self._all else None

    def begin(self, tid: str, issued_ms: int, now_ms: int) -> bool:
        """A command will be carried out; False where too many are remembered to take another."""
        old = [t for t, (at_ms, _) in self._all.items() if now_ms - at_ms > self._ttl_ms]
        for forgotten in old:
            del self._all[forgotten]
            self._kept.pop(forgotten, None)
        if len(self._all) >= MOST_COMMANDS:
            return False
        self._all[tid] = self._kept[tid] = (issued_ms, _UNDER_WAY)
        self._write()
        return True

    def end(self, tid: str, text: str, short: str) -> None:
        """It was answered; `short` stands for an answer that is too long to be written down."""
        issued_ms = self._all[tid][0]
        self._all[tid] = (issued_ms, text)
        self._kept[tid] = (issued_ms, text if len(text) <= MOST_KEPT_CHARS else short)
        self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        kept = [[tid, *entry] for tid, entry in self._kept.items()]
        try:
            write_whole(self._path, json.dumps(kept).encode())
        except OSError as error:
            log.error("answers are not kept", file=str(self._path), reason=str(error))


def _read(path: Path) -> list[tuple[str, int, str]]:
    """What was written; nothing where it is missing or damaged."""
    try:
        found = [(str(tid), int(at), str(text)) for tid, at, text in json.loads(path.read_text())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        log.error("answers to earlier commands are lost", file=str(path), reason=str(error))
        with contextlib.suppress(OSError):
            path.replace(path.with_suffix(".damaged"))
        return []
    return found[-MOST_COMMANDS:]

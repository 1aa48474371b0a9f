"""The prototype sets of a fleet on disk: their files, what became of each, the rollout under way.

One folder, one writer: an agent, or a command where no agent runs. Everything in it is written
beside the old file and renamed, so that a kill leaves the state before or the one after.
"""

import contextlib
import fcntl
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import structlog
from moteye_protocol.codebook_set import read_set
from moteye_protocol.set_file import PrototypeSetError, header_of, set_hash, version

from moteye.core.rollout import Rollout
from moteye.whole_file import write_whole

log = structlog.get_logger("moteye.sets")
KEPT_SETS = 20
_INDEX = "fleet.json"


@dataclass
class Entry:
    """One set: where its classes are from (`origin`), and how many devices took it or did not."""

    version: str
    hash: str
    number: int
    classes: int
    size_bytes: int
    unix_s: int
    origin: str
    confirmed: int = 0
    failed: dict[str, int] = field(default_factory=dict)


class SetArchive:
    """The sets of a fleet, oldest first. Without a folder they are kept in memory only."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.entries: list[Entry] = []
        self.rollout: Rollout | None = None
        self.pinned = False  # the last entry stays, whatever policies say
        self._data: dict[str, bytes] = {}
        self._lock: IO[str] | None = None
        self._read()

    @property
    def current(self) -> Entry | None:
        """The set that devices should use, or that is being rolled out."""
        return self.entries[-1] if self.entries else None

    def take(self) -> bool:
        """Become the one writer; False while another process is."""
        if self.folder is None or self._lock is not None:
            return True
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("w")
        except OSError as error:
            log.error("sets are not kept", folder=str(self.folder), reason=str(error))
            self.folder = None
            return True
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            return False
        self._lock = lock
        self._read()  # as the writer before has left it
        return True

    def release(self) -> None:
        """Let another process write."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def add(self, data: bytes, origin: str, now_s: int) -> Entry:
        """Make `data` the current set; the same set again is no new entry."""
        name = set_hash(data).hex()
        if self.current is not None and self.current.hash == name:
            return self.current
        number = header_of(data)[2]
        classes = read_set(data).count
        entry = Entry(version(number, data), name, number, classes, len(data), now_s, origin)
        self.entries.append(entry)
        self._data[name] = data
        if self.folder is not None:
            _write(self.folder / f"{name}.meps", data)
        for old in self.entries[:-KEPT_SETS]:
            if all(old.hash != kept.hash for kept in self.entries[-KEPT_SETS:]):
                self._forget(old)
        self.entries = self.entries[-KEPT_SETS:]
        self.save()
        return entry

    def data(self, name: str) -> bytes | None:
        """The bytes of a set by its hash in hex; None where they are gone or damaged."""
        if name not in self._data and self.folder is not None:
            with contextlib.suppress(OSError):
                data = (self.folder / f"{name}.meps").read_bytes()
                if set_hash(data).hex() == name:
                    self._data[name] = data
        return self._data.get(name)

    def find(self, wanted: str | None) -> Entry | None:
        """The newest entry whose version or hash is, or begins with, `wanted`.

        Without it, the entry before the current one.
        """
        if wanted is None:
            current = self.current
            before = [e for e in self.entries if current is not None and e.hash != current.hash]
            return before[-1] if before else None
        for entry in reversed(self.entries):
            if entry.version == wanted or entry.hash.startswith(wanted):
                return entry
        return None

    def count(self, name: str, code: str) -> None:
        """A device has confirmed the set of this hash (`ok`), or failed with a code."""
        for entry in self.entries:
            if entry.hash == name:
                if code == "ok":
                    entry.confirmed += 1
                else:
                    entry.failed[code] = entry.failed.get(code, 0) + 1
        self.save()

    def save(self) -> None:
        """Write the index."""
        if self.folder is None:
            return
        content = {
            "entries": [asdict(entry) for entry in self.entries],
            "rollout": self.rollout.to_json() if self.rollout is not None else None,
            "pinned": self.pinned,
        }
        _write(self.folder / _INDEX, json.dumps(content, indent=1).encode())

    def _forget(self, entry: Entry) -> None:
        self._data.pop(entry.hash, None)
        if self.folder is not None:
            with contextlib.suppress(OSError):
                (self.folder / f"{entry.hash}.meps").unlink()

    def _read(self) -> None:
        if self.folder is None:
            return
        path = self.folder / _INDEX
        try:
            content: dict[str, Any] = json.loads(path.read_text())
            self.entries = [Entry(**entry) for entry in content["entries"]]
            rollout = content["rollout"]
            self.rollout = Rollout.from_json(rollout) if rollout else None
            self.pinned = bool(content["pinned"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.error(
                "the history of sets is damaged and begins anew", file=str(path), reason=str(error)
            )
            with contextlib.suppress(OSError):
                path.replace(path.with_suffix(".damaged"))
            self.entries, self.rollout, self.pinned = [], None, False


def read_file(path: Path) -> bytes:
    """The bytes of a prototype set file.

    Raises OSError, or PrototypeSetError where it is none.
    """
    data = path.read_bytes()
    read_set(data)
    return data


def _write(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data)
    except OSError as error:
        log.error("not written", file=str(path), reason=str(error))


__all__ = ["Entry", "PrototypeSetError", "SetArchive", "read_file"]

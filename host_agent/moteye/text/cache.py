"""Phrase vectors that outlive the process: a start with known phrases needs no text tower."""

import contextlib
import hashlib
import os
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]
VALUES = 256
_NAME_BYTES = 16
RECORD_BYTES = _NAME_BYTES + 4 * VALUES + 4  # name, vector, CRC-32 of both
MOST_RECORDS = 20_000  # about 21 MB; then the older half goes


def cache_folder() -> Path:
    """Where caches of this user lie (XDG)."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "moteye"


class VectorCache:
    """float32[256] by phrase, for one text tower, in a file of records of fixed size.

    `tower` names what makes the vectors; each has a file of its own. A record that is damaged or
    cut short is not used, and where nothing can be written nothing is kept: then it costs time.
    """

    def __init__(self, folder: Path, tower: bytes) -> None:
        self.path = folder / f"phrases-{tower.hex()[:16]}.bin"
        self._known: dict[bytes, Float] = {}
        with contextlib.suppress(OSError):
            self._read(self.path.read_bytes())

    def __len__(self) -> int:
        return len(self._known)

    def get(self, phrase: str) -> Float | None:
        """The vector of a phrase, if it is known."""
        return self._known.get(_name(phrase))

    def add(self, vectors: dict[str, Float]) -> None:
        """Keep vectors by phrase."""
        self._known |= {_name(phrase): vector for phrase, vector in vectors.items()}
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if len(self._known) > MOST_RECORDS:
                self._shrink()
                return
            records = b"".join(_record(_name(phrase), v) for phrase, v in vectors.items())
            with self.path.open("ab") as file:
                # A writer that was cut off left part of a record: step over it.
                part = file.tell() % RECORD_BYTES
                file.write(bytes(RECORD_BYTES - part) * (part > 0) + records)

    def _read(self, data: bytes) -> None:
        for start in range(0, len(data) - RECORD_BYTES + 1, RECORD_BYTES):
            record = data[start : start + RECORD_BYTES]
            body, check = record[:-4], record[-4:]
            if zlib.crc32(body).to_bytes(4, "little") == check:
                self._known[body[:_NAME_BYTES]] = np.frombuffer(body[_NAME_BYTES:], "<f4")

    def _shrink(self) -> None:
        """Go on with the newer half; written beside, then put in place."""
        kept = list(self._known.items())[-MOST_RECORDS // 2 :]
        self._known = dict(kept)
        beside = self.path.with_suffix(f".{os.getpid()}")
        beside.write_bytes(b"".join(_record(name, vector) for name, vector in kept))
        beside.replace(self.path)


def _name(phrase: str) -> bytes:
    return hashlib.sha256(phrase.encode()).digest()[:_NAME_BYTES]


def _record(name: bytes, vector: Float) -> bytes:
    body = name + np.asarray(vector, "<f4").tobytes()
    return body + zlib.crc32(body).to_bytes(4, "little")

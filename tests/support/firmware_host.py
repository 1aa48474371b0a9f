"""The device's own swap code under CPython: `vision` by its twin on the host, no log."""

import sys
import types
from pathlib import Path

import numpy as np
from moteye.core.scoring import Scorer
from moteye_protocol.codebook_set import read_set
from moteye_protocol.prototype_set import PrototypeSetError

from support.flash_simulator import SECTOR_BYTES

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "device" / "firmware"))


class Prototypes:
    """`vision.Prototypes` with the host's integers, which tests hold equal to the device's."""

    def __init__(self, data, encoder_hash, dim):
        try:
            found = read_set(bytes(data))
        except PrototypeSetError as error:
            raise ValueError(error.reason) from None
        if found.encoder_hash != encoder_hash:
            raise ValueError("another encoder's set")
        try:
            self._scorer = Scorer(found, dim)
        except ValueError:
            raise ValueError("no such dim") from None
        self._dim = dim
        self.count = found.count
        self.number, self.epoch, self.report_q8 = found.number, found.epoch, found.report_q8

    def match(self, embedding, margins):
        vector = np.frombuffer(bytes(embedding), np.int8)[None, : self._dim]
        margins[:] = type(margins)("h", self._scorer.margins_q8(vector)[0].tolist())

    def best(self, margins, rows):
        reached = [row for row in range(self.count) if margins[row] >= self.report_q8]
        reached.sort(key=lambda row: (-margins[row], row))
        for index, row in enumerate(reached[: len(rows)]):
            rows[index] = row
        return min(len(rows), len(reached))


vision = types.ModuleType("vision")
vision.Prototypes = Prototypes
micropython = types.ModuleType("micropython")
micropython.const = lambda value: value
sys.modules.setdefault("vision", vision)
sys.modules.setdefault("micropython", micropython)

import log as _log  # noqa: E402

_log.log = lambda text: None

import signing  # noqa: E402, F401  for the power-cut proof
import slots  # noqa: E402
import swap  # noqa: E402
from mqtt_outbox import ACKED, SENT  # noqa: E402

# a full collection of CPython at each trial would take most of the time of the proof
swap.gc = types.SimpleNamespace(collect=lambda: None)

MAX_BYTES = 8192
TRIAL_MS = 5000


class Said:
    """A message on its way to the broker."""

    def __init__(self, fields):
        self.fields = fields
        self.state = SENT


class Device:
    """A swap over a flash, with a clock, a camera and a broker that a test moves."""

    def __init__(self, flash, encoder_hash, *, factory=None, dim=64, keys=()):
        self.said = []
        self.now_ms = 0
        self.broker = True
        self.swap = swap.Swap(flash, True, encoder_hash, dim, MAX_BYTES, TRIAL_MS, self._publish)
        self.swap.boot(factory, "factory", self.now_ms)

    def _publish(self):
        message = Said(self.swap.fields())
        self.said.append(message)
        self.swap.told = message

    @property
    def states(self):
        return [message.fields["state"] for message in self.said]

    @property
    def state(self):
        return self.swap.fields()["state"], self.swap.fields()["code"]

    @property
    def used(self):
        return self.swap.active.hash if self.swap.active else None

    def live(self, ms=400, frames=4):
        """Time passes: frames are seen, the broker answers."""
        for _ in range(frames):
            self.swap.looked(np.arange(-128, 128).astype(np.int8).tobytes())
        if self.broker:
            for message in self.said:
                message.state = ACKED
        self.now_ms += ms
        self.swap.tick(self.now_ms)

    def begin(self, data, sha256):
        return self.swap.begin(sha256, len(data), self.now_ms)

    def send(self, data, sha256, chunks):
        for index in chunks:
            piece = data[index * 1024 : index * 1024 + 1024]
            code = self.swap.chunk(sha256[:8], index, piece, self.now_ms)
            if code != "ok":
                return code
        return "ok"


class Factory:
    """A store with one file."""

    def __init__(self, data):
        self.data = data

    def read_into(self, name, buffer):
        buffer[: len(self.data)] = self.data
        return len(self.data)


def flash_size():
    return slots.flash_bytes(MAX_BYTES, SECTOR_BYTES)

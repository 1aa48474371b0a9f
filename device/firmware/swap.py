# The prototype set in use, and its replacement over the wire (SPEC, "Swapping a prototype set").
#
#   idle -set.begin-> receiving -last chunk, all good-> confirmed   (the other slot is active now)
#                               -last chunk, not good-> refused     (nothing has changed)
#                               -set.abort, silence-> idle
#
# Two slots of memory are made at boot; a set is received into the one that is not in use, so that
# the swap is one assignment. Its file is written beside the old one and renamed.
import array
import gc
import hashlib

import vision
from log import log
from micropython import const
from moteye_protocol.wire import CHUNK_BYTES, SET_HEADER_BYTES, SET_MAGIC

_FILE = "prototypes.meps"
_SILENCE_MS = const(30000)
_PROGRESS_CHUNKS = const(32)


# A set in use; never changed after it was made. Replaced as a whole, between two frames.
class ActiveSet:
    # Raises ValueError(reason).
    def __init__(self, data, digest, encoder_hash, dim):
        self.prototypes = vision.Prototypes(data, encoder_hash, dim)
        self.hash = digest[:8]
        self.version = "%d-%s" % (self.prototypes.number, digest.hex()[:8])
        self.report_q8 = self.prototypes.report_q8
        self.margins = array.array("h", bytes(2 * self.prototypes.count))


class Swap:
    # publish(): tells the state, given by fields(), to the host. now_ms are the caller's.
    def __init__(self, store, encoder_hash, dim, max_bytes, publish):
        self.active = None
        self.max_bytes = max_bytes
        self._store = store
        self._encoder_hash = encoder_hash
        self._dim = dim
        self._publish = publish
        self._slots = (bytearray(max_bytes), bytearray(max_bytes))
        self._used = 1
        self._state = "idle"
        self._code = "ok"
        self._kept = True
        self._chunks = 0
        self._seen = bytearray((max_bytes + CHUNK_BYTES - 1) // CHUNK_BYTES)
        self._forget()

    def _forget(self):
        self._sha256 = None
        self._size = self._of = self._got = 0

    # Takes the set of the last run, or else the factory's, or none. Damaged ones are named in the
    # log.
    def boot(self, factory_store, factory_name):
        if self._boot_from(self._store, _FILE):
            return
        self._kept = False
        if factory_store is not None and self._boot_from(factory_store, factory_name):
            log("swap: the factory set is in use")
            return
        log("swap: no prototype set")

    def _boot_from(self, store, name):
        slot = self._slots[0]
        size = store.read_into(name, slot)
        if size is None:
            return False
        data = memoryview(slot)[:size]
        code, found = self._check(data, hashlib.sha256(data).digest())
        if found is None:
            self._code = code
            log("swap: the set in %s is not used: %s" % (name, code))
            return False
        self.active = found
        self._used = 0
        log("swap: set %s from %s" % (found.version, name))
        return True

    # (code, set or None) of bytes with a known digest.
    def _check(self, data, digest):
        try:
            return "ok", ActiveSet(data, digest, self._encoder_hash, self._dim)
        except ValueError as error:
            log("swap: set refused: %s" % error)
            if len(data) >= SET_HEADER_BYTES and data[:4] == SET_MAGIC:
                if bytes(data[8:16]) != self._encoder_hash:
                    return "wrong_encoder", None
            return "bad_set", None

    # What set/state says, beside the envelope.
    def fields(self):
        active = self.active
        return {
            "state": self._state,
            "set": active.hash if active else None,
            "version": active.version if active else "",
            "dim": self._dim,
            "got": self._got,
            "of": self._of,
            "code": self._code,
            "kept": self._kept,
        }

    def _tell(self, state, code):
        self._state = state
        self._code = code
        self._publish()

    # set.begin: (code, further keys of the reply).
    def begin(self, sha256, size, now_ms):
        if not isinstance(sha256, bytes) or len(sha256) != 32:
            return "bad_argument", {}
        if not isinstance(size, int) or isinstance(size, bool) or size < SET_HEADER_BYTES:
            return "bad_argument", {}
        if size > self.max_bytes:
            return "too_large", {"max_set": self.max_bytes}
        if self.active and self.active.hash == sha256[:8]:
            self._tell("confirmed", "ok")
            return "ok", {"have": True}
        if self._sha256 is not None and self._sha256 != sha256:
            if now_ms - self._heard_ms < _SILENCE_MS:
                return "busy", {"set": self._sha256[:8]}
            self._forget()
        if self._sha256 is None:
            self._sha256 = sha256
            self._size = size
            self._of = (size + CHUNK_BYTES - 1) // CHUNK_BYTES
            self._seen[:] = bytes(len(self._seen))
        elif size != self._size:
            return "bad_argument", {}
        self._heard_ms = now_ms
        self._tell("receiving", "ok")
        missing = [index for index in range(self._of) if not self._seen[index]]
        return "ok", {"have": False, "chunks": self._of, "missing": missing}

    # set.abort: code.
    def abort(self, name):
        if not isinstance(name, bytes) or len(name) != 8:
            return "bad_argument"
        if self._sha256 is None or self._sha256[:8] != name:
            return "no_transfer"
        self._forget()
        self._tell("idle", "ok")
        return "ok"

    # One chunk. Returns its code; a chunk that fits nowhere changes nothing.
    def chunk(self, name, index, data, now_ms):
        if not isinstance(name, bytes) or not isinstance(data, bytes) or not isinstance(index, int):
            return "malformed"
        if self._sha256 is None or self._sha256[:8] != name:
            if self.active and self.active.hash == name:
                return "ok"
            return "no_transfer"
        if not 0 <= index < self._of:
            return "bad_argument"
        start = index * CHUNK_BYTES
        if len(data) != min(CHUNK_BYTES, self._size - start):
            return "bad_argument"
        self._heard_ms = now_ms
        if not self._seen[index]:
            self._slots[1 - self._used][start : start + len(data)] = data
            self._seen[index] = 1
            self._got += 1
            if self._got == self._of:
                self._finish()
            elif self._got % _PROGRESS_CHUNKS == 0:
                self._tell("receiving", "ok")
        return "ok"

    def _finish(self):
        data = memoryview(self._slots[1 - self._used])[: self._size]
        digest = hashlib.sha256(data).digest()
        code, found = ("bad_hash", None) if digest != self._sha256 else self._check(data, digest)
        if found is None:
            self._forget()
            self._tell("refused", code)
            return
        self._kept = self._store.write(_FILE, data)
        if not self._kept:
            log("swap: the set is in use, but will be forgotten at the next start")
        self._used = 1 - self._used
        self.active = found
        log("swap: set %s in use, %d rows" % (found.version, found.prototypes.count))
        self._tell("confirmed", "ok")
        self._forget()
        gc.collect()

# The prototype set in use, and its replacement over the wire (SPEC, "Swapping a prototype set").
# The states are in swap_states.py, what lies in flash in slots.py, the tests of a set in trial.py.
#
# Two buffers of memory are made at boot; a set is checked and tried in the one that is not in use,
# so that the swap and the way back are one assignment each.
import array
import gc
import hashlib

import delta
import vision
from log import log
from micropython import const
from moteye_protocol.wire import CHUNK_BYTES, SET_HEADER_BYTES
from mqtt_outbox import ACKED
from set_refusal import refusal
from slots import Slots, SlotsError
from swap_states import next_state
from trial import sample_rows, self_test

_SILENCE_MS = const(30000)
_PROGRESS_CHUNKS = const(32)
_TRIAL_FRAMES = const(3)
_MAX_TRIALS = const(3)  # of one set that ends for reasons that need not be its own


# A set in use; never changed after it was made. Replaced as a whole, between two frames.
class ActiveSet:
    # Raises ValueError(reason).
    def __init__(self, data, digest, encoder_hash, dim):
        self.data = data
        self.prototypes = vision.Prototypes(data, encoder_hash, dim)
        self.hash = digest[:8]
        self.version = "%d-%s" % (self.prototypes.number, digest.hex()[:8])
        self.epoch = self.prototypes.epoch
        self.report_q8 = self.prototypes.report_q8
        self.margins = array.array("h", bytes(2 * self.prototypes.count))


class Swap:
    # flash, lasting: see flash.py. publish(): tells the state, given by fields(), to the host and
    # puts the message into `told`. now_ms are the caller's.
    def __init__(self, flash, lasting, encoder_hash, dim, max_bytes, trial_ms, publish):
        self.active = None
        self.told = None
        self.max_bytes = max_bytes
        self._lasting = lasting
        self._encoder_hash = encoder_hash
        self._dim = dim
        self._trial_ms = trial_ms
        self._publish = publish
        self._slots = Slots(flash, max_bytes)
        self._buffers = (bytearray(max_bytes), bytearray(max_bytes))
        self._used = 1
        self._state = "idle"
        self._code = "ok"
        self._kept = False
        self._added = None  # rows that a delta has brought
        self._previous = None  # the set to go back to, in a trial
        self._frames = 0
        self._trial_end_ms = 0
        self._close()

    def _close(self):
        self._seen = b""
        self._got = self._of = 0
        self._heard_ms = 0
        self._added = None

    # --- the start

    # Takes the set that was confirmed last, or else the one before, the factory's, or none; goes on
    # with a transfer that was under way. What is damaged is named in the log.
    def boot(self, factory_store, factory_name, now_ms=0):
        for index in self._slots.candidates():
            data = self._slots.read(index, self._buffers[0])
            slot = self._slots.slots[index]
            if self._boot_from(data, slot.sha256, "slot %d" % index):
                self._kept = self._lasting
                self._prefer(index)
                break
        if self.active is None and factory_store is not None:
            size = factory_store.read_into(factory_name, self._buffers[0])
            if size is not None:
                data = memoryview(self._buffers[0])[:size]
                if self._boot_from(data, hashlib.sha256(data).digest(), factory_name):
                    log("swap: the factory set is in use")
        if self.active is None:
            log("swap: no prototype set")
        if self._slots.open is not None:
            self._resume(now_ms)

    # The set that counts is damaged, and this one takes its place.
    def _prefer(self, index):
        if index != self._slots.active:
            try:
                self._slots.prefer(index)
            except (OSError, SlotsError) as error:
                log("swap: the flash failed: %r" % error)
                self._slots.reload()

    def _boot_from(self, data, sha256, name):
        code, found = ("too_large", None) if data is None else self.admit(data, sha256)
        if found is None:
            self._code = code
            log("swap: the set in %s is not used: %s" % (name, code))
            return False
        self.active = found
        self._used = 0
        log("swap: set %s from %s" % (found.version, name))
        return True

    def _resume(self, now_ms):
        try:
            self._open(now_ms)
        except OSError as error:
            self._storage_failed(error)
            return
        self._heard_ms = now_ms - _SILENCE_MS  # a host that wants another set need not wait
        log("swap: goes on with a transfer, %d of %d chunks are here" % (self._got, self._of))
        self._step("begin", "ok")
        if self._got == self._of:
            self._finish(now_ms)

    # The one gate: every set passes here before it is used, whatever way it came. (code, set or
    # None) of bytes that must have the given SHA-256.
    def admit(self, data, sha256):
        digest = hashlib.sha256(data).digest()
        if digest != sha256:
            return "bad_hash", None
        if digest[:8] in self._slots.failed:
            return "failed_before", None
        try:
            found = ActiveSet(data, digest, self._encoder_hash, self._dim)
        except ValueError as error:
            code = refusal(data, self._encoder_hash, self._dim)
            log("swap: set refused: %s: %s" % (code, error))
            return code, None
        code = self.fits(self._encoder_hash, found.epoch)
        return code, found if code == "ok" else None

    # The code for a set of this encoder and epoch: of the one at the gate, or announced.
    def fits(self, encoder_hash, epoch):
        if encoder_hash != self._encoder_hash:
            return "wrong_encoder"
        return "rollback" if epoch < self._slots.floor else "ok"

    # --- what is told

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
            "floor": self._slots.floor,
        }

    def _step(self, event, code):
        self._state = next_state(self._state, event)
        self._code = code
        self.told = None
        self._publish()

    # --- the transfer

    # set.begin: (code, further keys of the reply). With a delta, and the hash of the set it is for,
    # the set is made here, and no chunk need come.
    def begin(self, sha256, size, now_ms, base=None, changes=None):
        if not isinstance(sha256, bytes) or len(sha256) != 32:
            return "bad_argument", {}
        if not isinstance(size, int) or isinstance(size, bool) or size < SET_HEADER_BYTES:
            return "bad_argument", {}
        if size > self.max_bytes:
            return "too_large", {"max_set": self.max_bytes}
        if sha256[:8] in self._slots.failed:
            return "failed_before", {}
        transfer = self._slots.transfer()
        if transfer is not None and transfer.sha256 != sha256:
            if self._state == "trial" or now_ms - self._heard_ms < _SILENCE_MS:
                return "busy", {"set": transfer.sha256[:8]}
            transfer = None
        if self._state == "trial":
            return "ok", {"have": False, "chunks": self._of, "missing": []}
        if transfer is None and self.active and self.active.hash == sha256[:8]:
            if self._slots.open is not None:
                self.abort(self._slots.transfer().sha256[:8])
            self._step("have", "ok")
            return "ok", {"have": True}
        if transfer is not None and size != transfer.size:
            return "bad_argument", {}
        if changes is not None:
            code = self._make(sha256, size, base, changes)
            if code != "ok":
                return code, {}
        try:
            if transfer is None:
                self._slots.begin(sha256, size)
            if transfer is None or not self._of:
                self._open(now_ms)
        except (OSError, SlotsError) as error:
            self._storage_failed(error)
            return "internal", {}
        self._heard_ms = now_ms
        self._step("begin", "ok")
        if changes is not None:
            return self._keep_made(now_ms)
        missing = [index for index in range(self._of) if not self._seen[index]]
        return "ok", {"have": False, "chunks": self._of, "missing": missing}

    # Makes the announced set of the one in use and a delta, in the buffer that is free.
    def _make(self, sha256, size, base, changes):
        if not isinstance(changes, bytes):
            return "bad_argument"
        if self.active is None or self.active.hash != base:
            return "wrong_base"
        out = memoryview(self._buffers[1 - self._used])
        try:
            made, self._added = delta.apply(self.active.data, changes, out)
        except delta.DeltaError as error:
            log("swap: delta: %s" % error)
            return "bad_delta"
        if made != size or hashlib.sha256(out[:made]).digest() != sha256:
            return "bad_delta"
        return "ok"

    # Stores what _make() made as if it had come in chunks, so that a power cut finds it the same.
    def _keep_made(self, now_ms):
        made = memoryview(self._buffers[1 - self._used])[: self._slots.transfer().size]
        try:
            for index in range(self._of):
                if not self._seen[index]:
                    chunk = made[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
                    self._slots.put(index, chunk, self._seen)
                    self._seen[index] = 1
                    self._got += 1
        except (OSError, SlotsError) as error:
            self._storage_failed(error)
            return "internal", {}
        chunks = self._of
        self._finish(now_ms)
        return "ok", {"have": False, "chunks": chunks, "missing": []}

    def _open(self, now_ms):
        self._seen = self._slots.seen()
        self._of = len(self._seen)
        self._got = sum(self._seen)
        self._heard_ms = now_ms

    # set.abort: code. A set on trial is given up, too.
    def abort(self, name):
        if not isinstance(name, bytes) or len(name) != 8:
            return "bad_argument"
        transfer = self._slots.transfer()
        if transfer is None or transfer.sha256[:8] != name:
            return "no_transfer"
        if self._state == "trial":
            self._revert("aborted", False)
            return "ok"
        try:
            self._slots.drop()
        except (OSError, SlotsError) as error:
            self._storage_failed(error)
            return "internal"
        self._close()
        if self._state == "receiving":
            self._step("abort", "ok")
        return "ok"

    # One chunk. Returns its code; a chunk that fits nowhere changes nothing.
    def chunk(self, name, index, data, now_ms):
        if not isinstance(name, bytes) or not isinstance(data, bytes) or not isinstance(index, int):
            return "malformed"
        transfer = self._slots.transfer()
        if transfer is None or transfer.sha256[:8] != name:
            if self.active and self.active.hash == name:
                return "ok"
            return "no_transfer"
        if not 0 <= index < self._of:
            return "bad_argument"
        if len(data) != min(CHUNK_BYTES, transfer.size - index * CHUNK_BYTES):
            return "bad_argument"
        self._heard_ms = now_ms
        if self._seen[index]:
            return "ok"
        try:
            self._slots.put(index, data, self._seen)
        except (OSError, SlotsError) as error:
            self._storage_failed(error)
            return "internal"
        self._seen[index] = 1
        self._got += 1
        if self._got == self._of:
            self._finish(now_ms)
        elif self._got % _PROGRESS_CHUNKS == 0:
            self._step("chunk", "ok")
        return "ok"

    # All chunks are here: checks the set, and begins its trial.
    def _finish(self, now_ms):
        data = self._slots.read(self._slots.open, self._buffers[1 - self._used])
        code, found = self.admit(data, self._slots.transfer().sha256)
        if found is not None and self._slots.trials >= _MAX_TRIALS:
            code, found = "interrupted", None
        try:
            if found is None:
                self._slots.drop(failed=code == "interrupted")
                self._close()
                self._step("refuse", code)
                return
            self._step("whole", "ok")
            self._slots.begin_trial(found.epoch)
        except (OSError, SlotsError) as error:
            self._storage_failed(error)
            return
        self._try(found, data, now_ms)

    # --- the trial

    def _try(self, found, data, now_ms):
        log("swap: set %s on trial, %d rows" % (found.version, found.prototypes.count))
        self._previous = self.active
        self._used = 1 - self._used
        self.active = found
        self._frames = 0
        self._trial_end_ms = now_ms + self._trial_ms
        self._step("try", "ok")
        rows = sample_rows(found.prototypes.count) if self._added is None else self._added
        code = self_test(found, data, self._dim, rows)
        if code != "ok":
            self._revert(code, True)
        gc.collect()

    def on_trial(self):
        return self._state == "trial"

    # A frame was encoded.
    def looked(self, embedding):
        if self._state == "trial" and self._frames < _TRIAL_FRAMES:
            self.active.prototypes.match(embedding, self.active.margins)
            self._frames += 1

    # To be called several times a second: ends a trial, one way or the other.
    def tick(self, now_ms):
        if self._state != "trial":
            return
        heard = self.told is not None and self.told.state == ACKED
        if heard and self._frames >= _TRIAL_FRAMES:
            self._confirm()
        elif now_ms >= self._trial_end_ms:
            # Without a camera or a broker no set could pass: it may come again.
            self._revert("broker" if self._frames >= _TRIAL_FRAMES else "frames", False)

    def _confirm(self):
        try:
            self._slots.confirm()
        except (OSError, SlotsError, MemoryError) as error:
            log("swap: %r" % error)
            self._slots.reload()
            self._revert("internal", False)
            return
        self._kept = self._lasting
        self._previous = None
        if not self._lasting:
            log("swap: the set is in use, but will be forgotten at the next start")
        log("swap: set %s in use" % self.active.version)
        self._step("pass", "ok")
        self._close()

    # Goes back to the set that was in use; `failed`, this one is never tried again.
    def _revert(self, code, failed):
        log("swap: set %s reverted: %s" % (self.active.version, code))
        self.active = self._previous
        self._previous = None
        self._used = 1 - self._used
        self._close()
        try:
            if self._slots.open is not None:
                self._slots.drop(failed)
        except (OSError, SlotsError) as error:
            log("swap: %r" % error)
            self._slots.reload()
        self._step("fail", code)

    # The flash failed in a transfer: forgets it.
    def _storage_failed(self, error):
        log("swap: the flash failed: %r" % error)
        self._slots.reload()
        self._close()
        if self._state in ("receiving", "verified"):
            self._step("refuse", "internal")

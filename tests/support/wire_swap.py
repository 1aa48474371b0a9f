"""The prototype sets of a scripted device: keeps the swap's rules, but the one it is told to break.

`fault` is one of `wire_faults.FAULTS`. What a device stores in flash is kept over `boot()`.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
from moteye.core.scoring import Scorer
from moteye_protocol import models, wire
from moteye_protocol.prototype_set import PrototypeSetError, decode, header_of, set_hash, version

sys.path.append(str(Path(__file__).resolve().parents[2] / "device" / "firmware"))
import delta  # runs under CPython, too
import signing

MAX_SET_BYTES = 65536


class ScriptedSwap:
    """Transfers, trials and the set in use. `tell()` says what `fields()` gives."""

    def __init__(self, encoder, dim, keys, fault, tell) -> None:
        self.encoder, self.dim, self.keys, self.fault = encoder, dim, keys, fault
        self._tell_host = tell
        self.data = None
        self.floor = 0
        self.failed = set()
        self.forget()
        self.boot()

    def boot(self):
        """A start: what was stored is there."""
        self.state, self.code = "idle", "ok"
        if self.fault == "forgets_its_set":
            self.data = None
        if self.fault == "forgets_chunks":
            self.forget()
        self.scorer = Scorer(decode(self.data), self.dim) if self.data else None

    @property
    def hash(self):
        """The set in use."""
        return self.data and set_hash(self.data)

    @property
    def version(self):
        """Its version."""
        return version(decode(self.data).number, self.data) if self.data else ""

    def fields(self):
        """What set/state says beside the envelope."""
        return {
            "state": self.state,
            "set": self.hash,
            "version": self.version,
            "dim": self.dim,
            "got": len(self._parts),
            "of": self._of,
            "code": self.code,
            "kept": True,
            "floor": self.floor,
        }

    def forget(self):
        """Drop the transfer."""
        self._sha256, self._of, self._parts = None, 0, {}

    def _tell(self, state, code="ok"):
        self.state, self.code = state, code
        self._tell_host()

    # --- operations

    def begin(self, args):
        """`set.begin`: (code, further keys of the reply)."""
        if args.get("manifest") is not None:
            code, args = self._read_manifest(args)
            if code != "ok":
                return code, {}
        elif self.keys and self.fault != "takes_unsigned_sets":
            return "unsigned", {}
        sha256, size = args.get("sha256"), args.get("size")
        if not isinstance(sha256, bytes) or len(sha256) != 32 or not isinstance(size, int):
            return "bad_argument", {}
        if size > MAX_SET_BYTES:
            return "too_large", {}
        if sha256[:8] in self.failed and self.fault != "forgets_failures":
            return "failed_before", {}
        if self.hash == sha256[:8] and self.fault != "receives_again":
            self._tell("confirmed")
            return "ok", {"have": True}
        if self._sha256 not in (None, sha256):
            if self.fault != "never_busy":
                return "busy", {}
            self.forget()
        made = None
        if args.get("delta") is not None:
            code, made = self._made(sha256, size, args)
            if code != "ok":
                return code, {}
        self._sha256 = sha256
        self._of = -(-size // wire.CHUNK_BYTES)
        self._tell("receiving")
        of = self._of
        if made is not None:
            self._finish(made)
            return "ok", {"have": False, "chunks": of, "missing": []}
        missing = [index for index in range(of) if index not in self._parts]
        return "ok", {"have": False, "chunks": of, "missing": missing}

    def _read_manifest(self, args):
        unsigned = self.fault == "takes_unsigned_sets"
        keys = () if unsigned else self.keys
        code, announced = signing.read_manifest(args["manifest"], args.get("mac"), keys)
        if code != "ok":
            return code, args
        sha256, size, encoder, epoch, base = announced
        if self.fault != "judges_manifests_late":
            if encoder != self.encoder:
                return "wrong_encoder", args
            if epoch < self.floor and self.fault != "floor_stays":
                return "rollback", args
        return "ok", {"sha256": sha256, "size": size, "base": base, "delta": args.get("delta")}

    def _made(self, sha256, size, args):
        if args.get("base") != self.hash and self.fault != "takes_any_base":
            return "wrong_base", None
        out = bytearray(MAX_SET_BYTES)
        try:
            made, _ = delta.apply(self.data, args["delta"], memoryview(out))
        except delta.DeltaError:
            return "bad_delta", None
        data = bytes(out[:made])
        good = made == size and hashlib.sha256(data).digest() == sha256
        if good or self.fault == "takes_any_delta":
            return "ok", data
        return "bad_delta", None

    def abort(self, args):
        """`set.abort`: (code, further keys of the reply)."""
        name = args.get("set")
        if not isinstance(name, bytes) or len(name) != 8:
            return "bad_argument", {}
        if self._sha256 is None or self._sha256[:8] != name:
            return ("ok" if self.fault == "aborts_anything" else "no_transfer"), {}
        self.forget()
        self._tell("idle")
        return "ok", {}

    def chunk(self, payload):
        """One message on `set/chunk`."""
        try:
            chunk = models.parse("set_chunk", payload)
        except models.MessageError:
            if self.fault == "breaks_at_garbage":
                raise OSError("a chunk that is none") from None
            return
        if self._sha256 is None or chunk.set != self._sha256[:8] or chunk.i >= self._of:
            return
        short = chunk.i < self._of - 1 and len(chunk.data) < wire.CHUNK_BYTES
        if chunk.i in self._parts or (short and self.fault != "takes_short_chunks"):
            return
        self._parts[chunk.i] = chunk.data
        if len(self._parts) == self._of:
            self._finish(b"".join(self._parts[index] for index in range(self._of)))

    # --- gate and trial

    def _finish(self, data):
        code = self._gate(data)
        self.forget()
        if code != "ok":
            self._tell("refused", code)
            return
        self._tell("verified")
        before = self.data, self.scorer
        self.data, self.scorer = data, Scorer(decode(data), self.dim)
        epoch = header_of(data)[1]
        if self.fault == "floor_rises_early":
            self.floor = max(self.floor, epoch)
        if self.fault != "skips_trial":
            self._tell("trial")
        if self._passes(data):
            self.floor = max(self.floor, 0 if self.fault == "floor_stays" else epoch)
            self._tell("confirmed")
            return
        if self.fault != "keeps_the_failed":
            self.data, self.scorer = before
        self.failed.add(set_hash(data))
        self._tell("reverted", "canary")

    def _gate(self, data):
        try:
            if hashlib.sha256(data).digest() != self._sha256 and self.fault != "takes_wrong_hash":
                return "bad_hash"
            found = decode(data)
        except PrototypeSetError:
            return "bad_crc"  # the kit damages nothing else
        if found.encoder_hash != self.encoder and self.fault != "takes_wrong_encoder":
            return "wrong_encoder"
        return "rollback" if found.epoch < self.floor else "ok"

    def _passes(self, data):
        if self.fault == "tests_nothing":
            return True
        for row, embedding in decode(data).canaries:
            margins = self.scorer.margins_q8(np.frombuffer(embedding, np.int8)[None])[0]
            if margins[row] < margins.max():
                return False
        return True

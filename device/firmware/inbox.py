# What arrives: commands and their operations, chunks of a prototype set, the device's own will.
import asyncio
import gc

from clock import unix_ms
from commands import Commands
from log import log
from micropython import const
from moteye_protocol.codec import WireError, unpack
from moteye_protocol.wire import OPERATIONS, VERSION
from signing import read_manifest

_REASSERT_MS = const(1000)


class Inbox:
    # frames: a FrameRing, or None where pictures stay on the device.
    # publish_state(): publishes birth and set/state.
    # narrator: None where this device makes no captions; it has no `describe` then.
    def __init__(self, messages, swap, frames, eye, publish_state, keys=(), narrator=None):
        self._messages = messages
        self._swap = swap
        self._frames = frames
        self._eye = eye
        self._narrator = narrator
        self._publish_state = publish_state
        self._keys = keys
        self._reasserted_ms = -_REASSERT_MS
        operations = {
            "ping": self._ping,
            "report": self._report,
            "frame.get": self._frame_get,
            "set.begin": self._set_begin,
            "set.abort": self._set_abort,
        }
        if narrator:
            operations["describe"] = self._describe
        self.operations = [op for op in OPERATIONS if op in operations]
        self._commands = Commands(messages.session, operations, self._reply, unix_ms, keys)

    # One message. payload: a view, or None where it was too large; topic is None then.
    def take(self, topic, payload, retain):
        topics = self._messages.topics
        if topic == topics["command"]:
            self._commands.take(payload, retain)
        elif topic == topics["set_chunk"]:
            self._chunk(payload, retain)
        elif topic == topics["status"] and not retain:
            self._own_status(payload)

    def _chunk(self, payload, retain):
        try:
            fields = unpack(payload)
        except WireError as error:
            self._commands.refuse("chunk: %s" % error)
            return
        if retain or not isinstance(fields, dict) or fields.get("v") != VERSION:
            self._commands.refuse("chunk: retained, or not of version %d" % VERSION)
            return
        now = self._messages.uptime.ms()
        code = self._swap.chunk(fields.get("set"), fields.get("i"), fields.get("data"), now)
        if code != "ok":
            self._commands.refuse("chunk: %s" % code)

    # The broker told the will of an earlier connection after this one was up (T03), or somebody
    # cleared what it retained.
    def _own_status(self, payload):
        cleared = payload is not None and len(payload) == 0
        if not cleared:
            try:
                fields = unpack(payload if payload is not None else b"")
            except WireError:
                return
            if not isinstance(fields, dict) or fields.get("state") != "offline":
                return
        now = self._messages.uptime.ms()
        if now - self._reasserted_ms < _REASSERT_MS:
            return
        self._reasserted_ms = now
        if cleared:
            log("device: its status was cleared; says who it is again")
            self._tell_all()
        else:
            log("device: told offline while online; says online again")
            self._messages.publish_status("online")

    def _tell_all(self):
        self._messages.publish_status("online")
        self._publish_state()

    def _reply(self, fields):
        self._messages.publish("reply", fields)

    # --- operations: args -> (code, further keys of the reply)

    def _ping(self, args):
        client = self._messages.client
        gc.collect()
        return "ok", {
            "connects": client.connects,
            "losses": client.losses,
            "dropped": client.outbox.dropped,
            "resent": client.outbox.resent,
            "oversize": client.oversize,
            "malformed": self._commands.malformed,
            "encode_ms": self._eye.encode_ms,
            "word_ms": self._narrator.word_ms if self._narrator else None,
            "stale_frames": self._eye.stale_frames,
            "memory": gc.mem_free(),
        }

    def _report(self, args):
        self._tell_all()
        return "ok", {}

    def _describe(self, args):
        return ("ok" if self._narrator.ask() else "busy"), {}

    def _frame_get(self, args):
        if self._frames is None:
            return "forbidden", {}
        frame = args.get("frame")
        if not isinstance(frame, int):
            return "bad_argument", {}
        code = self._frames.ask(frame)
        if code == "ok":
            asyncio.create_task(self._frames.send(self._publish_frame, self._messages.client.room))
        return code, {}

    def _publish_frame(self, fields):
        self._messages.publish("frame", fields)

    def _set_begin(self, args):
        now_ms = self._messages.uptime.ms()
        changes = args.get("delta")
        if args.get("manifest") is None:
            if self._keys:
                return "unsigned", {}
            sha256, size, base = args.get("sha256"), args.get("size"), args.get("base")
            return self._swap.begin(sha256, size, now_ms, base, changes)
        code, announced = read_manifest(args["manifest"], args.get("mac"), self._keys)
        if code != "ok":
            return code, {}
        sha256, size, encoder, epoch, base = announced
        code = self._swap.fits(encoder, epoch)
        if code != "ok":
            return code, {}
        return self._swap.begin(sha256, size, now_ms, base, changes)

    def _set_abort(self, args):
        return self._swap.abort(args.get("set")), {}

# Commands of the host: which are refused, and what became of each (SPEC, "Commands").
from log import log
from moteye_protocol.codec import WireError, unpack
from moteye_protocol.wire import COMMAND_TTL_MS, VERSION
from signing import command_is_signed

_REMEMBERED = 16
_MAX_TID = 32


class Commands:
    # operations: name -> function(args) -> (code, further keys of the reply)
    # reply(fields); unix_ms() -> int or None. keys: bytes each; with any, commands must be signed.
    def __init__(self, session, operations, reply, unix_ms, keys=()):
        self.malformed = 0
        self._session = session
        self._operations = operations
        self._reply = reply
        self._unix_ms = unix_ms
        self._keys = keys
        self._answers = []  # (tid, fields, when the command was issued), oldest first
        self._forgotten_ms = -1  # the latest issue of those that are no longer there

    # payload: bytes of a message on `cmd`, None where it was too large. retain: the flag it came
    # with.
    def take(self, payload, retain):
        if payload is not None and len(payload) == 0:
            return  # somebody clears the topic
        try:
            command = unpack(payload if payload is not None else b"")
        except WireError as error:
            self.refuse("cmd: %s" % error)
            return
        tid = command.get("tid") if isinstance(command, dict) else None
        if not isinstance(tid, str) or not 1 <= len(tid) <= _MAX_TID:
            self.refuse("cmd: no tid")
            return
        if retain:
            log("cmd: %s is retained; refused" % tid)
            self._answer(tid, "retained", {})
            return
        if self._keys and not command_is_signed(payload, self._keys):
            self.refuse("cmd: %s is not signed with a key of this device" % tid)
            self._answer(tid, "unsigned", {})
            return
        for known, fields, _ in self._answers:
            if known == tid:
                self._reply(fields)
                return
        code, more = self._judge(command)
        issued = command.get("issued")
        if code not in ("malformed", "stale_session", "replayed") or not self._keys:
            answer = self._answer(tid, code, more)
            self._answers.append((tid, answer, issued if _is_int(issued) else -1))
        else:
            self._answer(tid, code, more)
        if len(self._answers) > _REMEMBERED:
            self._forgotten_ms = max(self._forgotten_ms, self._answers.pop(0)[2])

    # Counts and logs a payload that changed nothing.
    def refuse(self, text):
        self.malformed += 1
        log(text)

    def _answer(self, tid, code, more):
        fields = {"tid": tid, "ok": code == "ok", "code": code}
        fields.update(more)
        self._reply(fields)
        return fields

    def _judge(self, command):
        if command.get("v") != VERSION:
            return "version", {}
        session = command.get("s")
        issued = command.get("issued")
        ttl = command.get("ttl", COMMAND_TTL_MS)
        args = command.get("args", {})
        if (
            not (session is None or _is_int(session))
            or not _is_int(issued)
            or not _is_int(ttl)
            or not isinstance(args, dict)
            or not isinstance(command.get("op"), str)
        ):
            self.refuse("cmd: %s is malformed" % command["tid"])
            return "malformed", {}
        if session is not None and session != self._session:
            return "stale_session", {}
        if self._keys and session is None:
            return "stale_session", {}
        if self._keys and issued <= self._forgotten_ms:
            return "replayed", {}
        now = self._unix_ms()
        if now is not None and now - issued > ttl:
            return "expired", {}
        operation = self._operations.get(command["op"])
        if operation is None:
            return "unknown_operation", {}
        try:
            return operation(args)
        except Exception as error:
            log("cmd: %s failed: %r" % (command["op"], error))
            return "internal", {}


def _is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)

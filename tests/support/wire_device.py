"""A device that is only a script: keeps every rule of the wire, but the one it is told to break.

`WireDevice(port, fault="...")`: FAULTS maps each name to the id of the rule that it breaks.
"""

import asyncio
import contextlib
import sys
import time
import zlib
from pathlib import Path

import numpy as np
from moteye.conformance.rig import Line
from moteye.core.scoring import prob_q8
from moteye_protocol import models, wire
from moteye_protocol.boxes import WireBox, pack_boxes
from moteye_protocol.codec import WireError, pack, unpack

from support.wire_faults import FAULTS
from support.wire_swap import MAX_SET_BYTES, ScriptedSwap

sys.path.append(str(Path(__file__).resolve().parents[2] / "device" / "firmware"))
import mqtt_packets as packets  # runs under CPython, too
import signing

ENCODER = b"scripted"
OPS = ("ping", "report", "frame.get", "set.begin", "set.abort")
DIM = 64
WIDTH, HEIGHT = 20, 30
RECONNECT_S = 0.02
REASSERT_S = 0.1
SMALL_PIECE = 5
REMEMBERED = 16  # answers
BOOTED_MS = 20_000  # how long it has been up when it connects
SOMETIMES = 5  # a fault of some messages shows in one of so many
_2000_MS = 946_684_800_000


class WireDevice:
    """One device and its power: `start`, `kill`, `stop`, `restart`.

    It remembers its session and what lies in its flash over a start. `keys` are those it checks
    signatures with.
    """

    def __init__(
        self, port, device_id="scripted", *, fault=None, frames=False, keys=(), interval_s=0.03
    ) -> None:
        assert fault is None or fault in FAULTS, fault
        self.port, self.id, self.fault, self.frames = port, device_id, fault, frames
        self.interval_s = interval_s
        self.keys = keys
        self.swap = ScriptedSwap(ENCODER, DIM, keys, fault, self._say_set_state)
        self.session = 6
        self.connections = 0
        self._task = None
        self._writer = None

    # --- power

    async def start(self):
        self.session += self.fault != "session_stays" or self.session == 6
        self._number = 0
        self._frame = 0
        self._connects = 0
        self._started_s = time.monotonic()
        self._random = np.random.default_rng(self.session)
        self._answers = {}
        self._forgotten_ms = 0
        self.swap.boot()
        self._reasserted_s = -REASSERT_S
        self._task = asyncio.create_task(self._run())

    async def kill(self):
        if self._task is None:
            return
        self._task.cancel()
        if self._writer is not None:
            self._writer.transport.abort()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None

    async def stop(self):
        if self._task is None:
            return
        if self._writer is not None and not self._writer.is_closing():
            if self.fault != "leaves_without_a_word":
                self._status("stopped")
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    if self.fault != "leaves_without_a_word":
                        await self._settled.wait()
                self._writer.write(packets.DISCONNECT)
                await self._writer.drain()
                self._writer.close()
        await self.kill()

    async def restart(self):
        await self.stop()
        await self.start()

    # --- the connection

    async def _run(self):
        while True:
            with contextlib.suppress(OSError, packets.MqttError):
                await self._connection()
            await asyncio.sleep(RECONNECT_S)

    async def _connection(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writer = writer
        self._unacknowledged = set()
        self._settled = asyncio.Event()
        self._pid = 0
        self.connections += 1
        self._connects += 1
        if self.fault == "session_a_connect" and self._connects > 1:
            self.session += 1
        session = self.session + (self.fault == "will_of_another_session")
        will = pack({"v": 1, "s": session, "state": "offline"})
        name = "other" if self.fault == "another_client_id" else self.id
        connect = packets.connect(name, 30, self._topic("status"), will)
        if self.fault == "will_not_retained":
            connect[9] &= ~0x20
        writer.write(connect)
        seeing = asyncio.create_task(self._see())
        try:
            parser, was_small = packets.Parser(wire.MAX_PAYLOAD_BYTES), False
            while data := await reader.read(4096):
                is_small = len(data) <= SMALL_PIECE
                # One small piece alone may be the end of a large message on a good line.
                if self.fault == "one_shot_reads" and is_small and was_small:
                    parser = packets.Parser(wire.MAX_PAYLOAD_BYTES)
                was_small = is_small
                at = 0
                while at < len(data):
                    room = parser.want()
                    part = data[at : at + len(room)]
                    room[: len(part)] = part
                    at += len(part)
                    packet = parser.took(len(part))
                    if packet is not None:
                        self._take(packet)
                await writer.drain()
        finally:
            seeing.cancel()
            writer.transport.abort()

    def _take(self, packet):
        if packet.kind == packets.CONNACK:
            if self.fault == "subscribes_once" and self._connects > 1:
                self._online()
                return
            names = ("command", "set_chunk", "status")
            self._writer.write(packets.subscribe(1, [(self._topic(n), 1) for n in names]))
        elif packet.kind == packets.SUBACK:
            self._online()
        elif packet.kind == packets.PUBACK:
            self._unacknowledged.discard(packet.pid)
            if not self._unacknowledged:
                self._settled.set()
        elif packet.kind == packets.PUBLISH:
            if packet.payload is None:
                if self.fault == "breaks_at_oversize":
                    raise OSError("out of memory")
            else:
                self._hear(packet.topic, bytes(packet.payload), packet.retain)
            if packet.qos:
                self._writer.write(packets.puback(packet.pid))

    def _online(self):
        self._status("online")
        if self.fault != "birth_once" or self._connects == 1:
            self._say_birth()
        if self.fault != "set_state_once" or self._connects == 1:
            self._say_set_state()

    def _topic(self, name):
        return models.topic(self.id, name)

    def _publish(self, topic, payload, qos, retain):
        if self._writer is None or self._writer.is_closing():
            return
        pid = 0
        if qos:
            self._pid = pid = self._pid % 65535 + 1
            self._unacknowledged.add(pid)
            self._settled.clear()
        head = packets.publish_head(topic, len(payload), qos, retain, False, pid)
        self._writer.write(bytes(head) + payload)

    # --- what it says

    def _up(self):
        return BOOTED_MS + int((time.monotonic() - self._started_s) * 1000)

    def _sometimes(self):
        return self._number % SOMETIMES == 0

    def _say(self, name, fields):
        up = self._up()
        now = int(time.time() * 1000)
        seen = name == "embedding"
        if self.fault == "up_falls" and seen and self._sometimes():
            up = max(0, up - 1000)
        if self.fault == "epoch_2000":
            now -= _2000_MS
        at = {"at": up - (11_000 if self.fault == "old_frames" else 0)} if "frame" in fields else {}
        message = {"v": 1, "s": self.session, "n": self._number, "t": now, "up": up}
        message |= fields | at
        if self.fault == "says_version_2" and name == "detections":
            message["v"] = 2
        if self.fault == "up_is_a_float" and seen:
            message["up"] = float(up)
        _, _, qos, retain = wire.TOPICS[name]
        if self.fault == "embedding_qos_0" and seen:
            qos = 0
        if self.fault == "embedding_retained" and seen:
            retain = True
        if self.fault == "birth_not_retained" and name == "birth":
            retain = False
        self._publish(self._topic(name), pack(message), qos, retain)
        skip = self.fault == "skips_numbers" and seen and self._sometimes()
        repeat = self.fault == "repeats_numbers" and seen and self._sometimes()
        self._number += 2 if skip else 0 if repeat else 1
        if repeat:
            self._publish(self._topic(name), pack(message), qos, retain)
            self._number += 1

    def _status(self, state):
        payload = pack({"v": 1, "s": self.session, "state": state})
        self._publish(self._topic("status"), payload, 1, True)

    def _say_birth(self):
        ops = [op for op in OPS if op != "report" or self.fault != "does_not_list_report"]
        fields = {
            "fw": "script",
            "encoder": ENCODER,
            "dim": DIM,
            "width": WIDTH,
            "height": HEIGHT,
            "set": self.swap.hash,
            "set_version": self.swap.version,
            "frames": self.frames,
            "max_set": MAX_SET_BYTES,
            "keys": len(self.keys),
            "ops": ops,
            "interval": int(self.interval_s * 1000),
        }
        self._say("birth", fields)

    def _say_set_state(self):
        self._say("set_state", self.swap.fields())

    async def _see(self):
        while True:
            await asyncio.sleep(self.interval_s)
            self.look()

    def look(self):
        """Publish one frame: its embedding, and its rows where there is a set."""
        self._frame += self.fault != "same_frame_again" or not self._sometimes()
        embedding = self._random.integers(-128, 128, 256).astype(np.int8)
        name = self.swap.hash
        sometimes = self._sometimes()
        fields = {
            "frame": self._frame,
            "encoder": b"another!" if self.fault == "encoder_of_another" else ENCODER,
            "set": None if self.fault == "does_not_name_the_set" else name,
            "e": embedding.tobytes(),
            "why": "because" if self.fault == "strange_why" and sometimes else "change",
            "sim": 0,
        }
        if fields["set"] is not None:
            fields["boxes"] = pack_boxes(self._boxes())
        self._say("embedding", fields)
        if self.swap.scorer is not None:
            self._say_detections(embedding, name)
        if self.fault == "json":
            self._publish(self._topic("caption"), b'{"text": "a cat"}', 1, False)
        elif self.fault == "large_payload":
            self._say("caption", {"frame": 1, "text": "a cat", "pad": bytes(5000)})
        elif self.fault == "topic_per_class":
            self._publish(self._topic("status") + "/cat", pack({"v": 1}), 1, False)

    def _boxes(self):
        """Two boxes of the first row, which nobody can check from outside."""
        beyond = wire.BOX_GRID + (self.fault == "box_beyond_the_picture")
        boxes = [WireBox(0, 300, 0, 100, 2000, beyond), WireBox(0, -20, 900, 0, 4096, 50)]
        return boxes[::-1] if self.fault == "worst_box_first" else boxes

    def _say_detections(self, embedding, name):
        margins = self.swap.scorer.margins_q8(embedding[None])[0]
        if self.fault == "off_by_one":
            margins = np.clip(margins.astype(int) + 1, -32768, 32767).astype(np.int16)
        told = prob_q8(margins)
        rows = [[i, int(margins[i]), int(told[i])] for i in range(len(margins))]
        rows.sort(key=lambda row: (row[1] if self.fault == "worst_first" else -row[1], row[0]))
        fields = {"frame": self._frame, "set": name, "dim": DIM, "rows": rows[:16]}
        self._say("detections", fields)

    # --- what it hears

    def _hear(self, topic, payload, retain):
        if topic == self._topic("command"):
            self._command(payload, retain)
        elif topic == self._topic("set_chunk"):
            self.swap.chunk(payload)
        elif topic == self._topic("status") and not retain:
            self._own_status(payload)

    def _own_status(self, payload):
        if time.monotonic() - self._reasserted_s < REASSERT_S:
            return
        if payload == b"":
            if self.fault == "takes_cleared_status":
                return
            self._reasserted_s = time.monotonic()
            self._status("online")
            self._say_birth()
            self._say_set_state()
        elif unpack(payload).get("state") == "offline" and self.fault != "takes_offline":
            self._reasserted_s = time.monotonic()
            self._status("online")

    def _command(self, payload, retain):
        if not payload:
            if self.fault == "answers_empty":
                self._reply("?", "malformed", {})
            return
        if self.fault == "takes_trailing_bytes" and payload[-1] == 0xC0:
            payload = payload[:-1]
        try:
            command = unpack(payload)
        except WireError:
            return
        tid = command.get("tid") if isinstance(command, dict) else None
        if not isinstance(tid, str) or not 1 <= len(tid) <= 32:
            return
        if retain and self.fault != "obeys_retained":
            self._reply(tid, "retained", {})
            return
        is_checked = self.keys and self.fault != "obeys_unsigned"
        if is_checked and not signing.command_is_signed(payload, self.keys):
            self._reply(tid, "unsigned", {})
            return
        if tid in self._answers and self.fault != "does_it_twice":
            code, more, _ = self._answers[tid]
            if self.fault == "answers_otherwise_again":
                code = "busy"
            self._reply(tid, code, more)
            return
        code, more = self._judge(command)
        if code is None:
            return
        if code not in ("replayed", "stale_session"):
            issued = command.get("issued")
            self._answers[tid] = code, more, issued if isinstance(issued, int) else 0
        if len(self._answers) > REMEMBERED:
            forgotten = self._answers.pop(next(iter(self._answers)))
            self._forgotten_ms = max(self._forgotten_ms, forgotten[2])
        self._reply(tid, code, more)

    def _reply(self, tid, code, more):
        ok = code == "ok" or self.fault == "ok_beside_a_code"
        self._say("reply", {"tid": tid, "ok": ok, "code": code, **more})

    def _judge(self, command):
        if command.get("v") != 1 and self.fault != "takes_version_2":
            return "version", {}
        known = {"v", "tid", "s", "issued", "ttl", "op", "args", "padding"}
        if self.fault == "refuses_unknown_keys" and not set(command) <= known:
            return "malformed", {}
        default = 1000 if self.fault == "no_default_ttl" else wire.COMMAND_TTL_MS
        session, issued = command.get("s"), command.get("issued")
        ttl, args = command.get("ttl", default), command.get("args", {})
        good = isinstance(session, int | None) and isinstance(issued, int)
        good = good and isinstance(ttl, int) and isinstance(args, dict)
        if not good or not isinstance(command.get("op"), str):
            return (None if self.fault == "silent_when_malformed" else "malformed"), {}
        if session not in (None, self.session) and self.fault != "obeys_other_sessions":
            return "stale_session", {}
        if self.keys and self.fault != "obeys_recorded" and self._is_recorded(session, issued):
            return ("stale_session" if session is None else "replayed"), {}
        late = time.time() * 1000 - issued > ttl
        if late and self.fault == "obeys_expired":
            late = "ttl" not in command
        if late:
            return "expired", {}
        doing = {
            "ping": lambda args: ("ok", {}),
            "report": self._report,
            "frame.get": self._frame_get,
            "set.begin": self.swap.begin,
            "set.abort": self.swap.abort,
        }.get(command["op"])
        if doing is None:
            return ("ok" if self.fault == "ok_to_unknown" else "unknown_operation"), {}
        code, more = doing(args)
        if code == "bad_argument" and self.fault == "ok_to_bad_arguments":
            code = "ok"
        return code, more

    def _is_recorded(self, session, issued):
        nameless = session is None and self.fault != "obeys_any_session"
        return nameless or issued <= self._forgotten_ms

    def _report(self, args):
        if self.fault != "reports_birth_only":
            self._status("online")
        self._say_birth()
        if self.fault != "reports_birth_only":
            self._say_set_state()
        return "ok", {}

    def _frame_get(self, args):
        frame = args.get("frame")
        if not self.frames and self.fault != "hands_out_frames":
            return "forbidden", {}
        if not isinstance(frame, int):
            return "bad_argument", {}
        if frame > self._frame and self.fault != "never_gone":
            return "gone", {}
        picture = self._random.bytes(WIDTH * HEIGHT * 3)
        total = -(-len(picture) // wire.CHUNK_BYTES)
        crc = zlib.crc32(picture) ^ (self.fault == "wrong_crc")
        whole = {"frame": frame, "total": total, "w": WIDTH, "h": HEIGHT}
        for index in range(total):
            start = index * wire.CHUNK_BYTES
            data = picture[start : start + wire.CHUNK_BYTES]
            more = {"i": index, "format": "rgb888", "crc": crc, "data": data}
            self._say("frame", whole | more)
        return "ok", {}


class ScriptedRig:
    """Power over a WireDevice, its line and its broker: what the conformance kit may ask for."""

    def __init__(self, broker, **options) -> None:
        self.broker = broker
        self.line = Line(broker.port)
        self._options = options

    async def __aenter__(self):
        await self.line.__aenter__()
        self.device = WireDevice(self.line.port, **self._options)
        await self.device.start()
        return self

    async def __aexit__(self, *_):
        await self.device.stop()
        await self.line.__aexit__(None, None, None)

    async def kill(self):
        await self.device.kill()

    async def stop(self):
        await self.device.stop()

    async def restart(self):
        await self.device.restart()

    async def restart_broker(self):
        await self.broker.stop()
        await self.broker.start()

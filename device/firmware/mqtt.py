# MQTT 3.1.1 client for one asyncio loop: one connection after the other over any byte stream.
#
#   CONNECTING -CONNACK-> SUBSCRIBING -SUBACK-> ONLINE
#   any of them -anything unexpected, late or broken-> lost -wait (backoff)-> CONNECTING
# Three tasks a connection, none of which waits for another: _read takes packets in, _write alone
# writes, _session watches the deadlines. A deadline never interrupts a read that goes on afterwards
# (T63): whatever is late, the tasks are ended and the stream is closed.
#
# Sessions are clean, so every connect subscribes again (T05). Messages of QoS 1 stay in the outbox
# until they are acknowledged, and go out again with DUP after a reconnect. publish() never waits.
import asyncio
import sys

import mqtt_packets as packets
from backoff import Backoff
from clock import ticks_diff, ticks_ms
from log import log
from micropython import const
from mqtt_outbox import ACKED, SENT, WAITING, Message, Outbox
from stream import handshake_failed, tls_failure

_HANDSHAKE_MS = const(10000)
_WRITE_MS = const(10000)
_PING_MS = const(10000)
_GRACE_MS = const(20)
_SHORT_SESSION_MS = const(10000)
_SHORT_SESSIONS = const(3)
_TWIN_WAIT_MS = const(30000)
_WAIT_STEP_MS = const(500)
_ROOMY = const(4)  # messages under way that leave room for a large transfer's next

# phases
_CONNECTING = const(0)
_SUBSCRIBING = const(1)
_ONLINE = const(2)
_OFF = const(3)


class Lost(Exception):
    pass


class Client:
    #   open_stream() -> stream, at once (see stream.py)
    #   will: its topic and its payload
    #   subscriptions: (filter, QoS, required) each; without a required one no connection is kept
    #   on_connect(): publish presence here; it goes before what was left over
    #   on_message(topic, payload, retain, dup): payload is a view that lives during the call, or
    #     None where it was too large; it is acknowledged when the call returns
    def __init__(
        self, client_id, open_stream, will, subscriptions, on_connect, on_message, max_payload
    ):
        self.client_id = client_id
        self.user = None
        self.password = None
        self.secure = False  # whether the stream is TLS
        self.keepalive_s = 60  # counts from the next connect on
        self.healthy_ms = 300000
        self.connects = self.losses = self.oversize = 0
        self.turns = 0  # of its loops; the watchdog wants this to rise
        self.failed_handshakes = 0  # of TLS, in a row
        self.outbox = Outbox()
        self._open_stream = open_stream
        self._will = will
        self._subscriptions = subscriptions
        self._on_connect = on_connect
        self._on_message = on_message
        self._max_payload = max_payload
        self._kick = asyncio.Event()
        self._phase = _OFF
        self._short_sessions = 0

    def is_online(self):
        return self._phase == _ONLINE

    # Puts a message in the outbox. telemetry: may be dropped, oldest first, when there is no room.
    # QoS 0 is dropped where there is no connection. Look at .state for what became of it.
    def publish(self, topic, payload, qos=0, retain=False, telemetry=False):
        message = Message(topic, payload, qos, retain, telemetry)
        if qos == 0 and self._phase != _ONLINE:
            self.outbox.drop(message)
            return message
        self.outbox.add(message)
        self._kick.set()
        return message

    # Waits until few messages are under way: a large transfer asks before each of its own. False
    # when the connection is lost meanwhile.
    async def room(self):
        while len(self.outbox) > _ROOMY and self._phase == _ONLINE:
            await asyncio.sleep_ms(5)
        return self._phase == _ONLINE

    # Whether the broker acknowledged the message in time.
    async def settled(self, message, timeout_ms):
        start = ticks_ms()
        while message.state in (WAITING, SENT) and self._phase != _OFF:
            if ticks_diff(ticks_ms(), start) >= timeout_ms:
                break
            await asyncio.sleep_ms(10)
        return message.state == ACKED

    # Connects again and again, until cancelled.
    async def run(self):
        backoff = Backoff(self.client_id)
        while True:
            start = ticks_ms()
            reached = _OFF
            try:
                await self._session()
            except Exception as error:
                reached = self._phase
                early = self.secure and reached == _CONNECTING
                if early and handshake_failed(error):
                    self.failed_handshakes += 1
                known = str(error) if isinstance(error, Lost) else tls_failure(error, early)
                log("mqtt: lost: %s" % (known or repr(error)))
            finally:
                self._phase = _OFF
            lived_ms = ticks_diff(ticks_ms(), start)
            twin = False
            if reached == _ONLINE:
                self.losses += 1
                twin = self._suspects_twin(lived_ms)
                if lived_ms >= self.healthy_ms:
                    backoff.reset()
            else:
                self._short_sessions = 0  # the broker was away: no twin is to blame
            wait_ms = backoff.next_ms() + (_TWIN_WAIT_MS if twin else 0)
            log("mqtt: next try in %d ms" % wait_ms)
            await self._wait(wait_ms)

    async def _wait(self, ms):
        start = ticks_ms()
        while ticks_diff(ticks_ms(), start) < ms:
            self.turns += 1
            await asyncio.sleep_ms(min(_WAIT_STEP_MS, ms))

    # Two clients of one id throw each other out for ever, as both are accepted (T04): after some
    # short sessions without a healthy one between, every try waits long.
    def _suspects_twin(self, lived_ms):
        if lived_ms >= self.healthy_ms:
            self._short_sessions = 0
        elif lived_ms < _SHORT_SESSION_MS:
            self._short_sessions += 1
            if self._short_sessions == _SHORT_SESSIONS:
                log("mqtt: ALARM: short sessions; is there another client %r?" % self.client_id)
        return self._short_sessions >= _SHORT_SESSIONS

    # One connection, to its end; raises what ended it.
    async def _session(self):
        self._phase = _CONNECTING
        self._half_ms = self.keepalive_s * 500
        self._failure = None
        self._acks = []
        self._ping_ms = None
        self._ping_due = False
        self._write_ms = None
        self._phase_ms = self._rx_ms = self._tx_ms = ticks_ms()
        stream = self._open_stream()
        # Control packets of the handshake, oldest first; _write sends them before anything else.
        self._control = [
            packets.connect(
                self.client_id,
                self.keepalive_s,
                self._will[0],
                self._will[1],
                self.user,
                self.password,
            )
        ]
        self.outbox.rewind()
        tasks = (
            asyncio.create_task(self._guard(self._read(stream))),
            asyncio.create_task(self._guard(self._write(stream))),
        )
        try:
            await self._watch()
        finally:
            for task in tasks:
                task.cancel()
            stream.close()
        raise self._failure

    # Keeps the reason why a task of the connection ended, for _watch.
    async def _guard(self, work):
        try:
            await work
        except Exception as error:
            self._failure = self._failure or error

    # Returns when the connection has failed. The loop may have been held up by an encode, so that
    # what is late has arrived but was not read yet: the reader gets a moment before the verdict
    # (T11).
    async def _watch(self):
        tick_ms = min(100, self._half_ms // 10)
        while self._failure is None:
            self.turns += 1
            await asyncio.sleep_ms(tick_ms)
            if self._failure is None and self._overdue():
                await asyncio.sleep_ms(_GRACE_MS)
                late = self._overdue()
                if late and self._failure is None:
                    self._failure = Lost(late)
            half_ms = self._half_ms
            now = ticks_ms()
            if self._phase == _ONLINE and self._ping_ms is None:
                if (
                    ticks_diff(now, self._rx_ms) >= half_ms
                    or ticks_diff(now, self._tx_ms) >= half_ms
                ):
                    self._ping_ms = now
                    self._ping_due = True
                    self._kick.set()

    # Which deadline has passed, or None.
    def _overdue(self):
        now = ticks_ms()
        if self._phase != _ONLINE and ticks_diff(now, self._phase_ms) >= _HANDSHAKE_MS:
            return "no CONNACK in time" if self._phase == _CONNECTING else "no SUBACK in time"
        if self._ping_ms is not None:
            if ticks_diff(now, self._ping_ms) >= min(_PING_MS, self._half_ms):
                return "no PINGRESP in time"
        if self._write_ms is not None:
            if ticks_diff(now, self._write_ms) >= min(_WRITE_MS, self._half_ms):
                return "the broker takes no bytes"
        return None

    # --- out

    async def _write(self, stream):
        while True:
            if self._control:
                await self._put(stream, self._control.pop(0))
            elif self._acks:
                await self._put(stream, packets.puback(self._acks.pop(0)))
            elif self._ping_due:
                self._ping_due = False
                await self._put(stream, packets.PINGREQ)
            else:
                message = self.outbox.take() if self._phase == _ONLINE else None
                if message is None:
                    self._kick.clear()
                    await self._kick.wait()
                else:
                    await self._put_message(stream, message)

    async def _put(self, stream, data):
        self._write_ms = ticks_ms()
        stream.write(data)
        await stream.drain()
        self._write_ms = None
        self._tx_ms = ticks_ms()

    # Head, then payload from where it lies: a large one is never copied (T10).
    async def _put_message(self, stream, message):
        head = packets.publish_head(
            message.topic,
            len(message.payload),
            message.qos,
            message.retain,
            message.dup,
            message.pid,
        )
        await self._put(stream, head)
        await self._put(stream, message.payload)

    # Says DISCONNECT, so that the broker forgets the will, and ends. Publish why before, and wait
    # for it.
    async def disconnect(self):
        if self._phase == _ONLINE:
            self._control.append(packets.DISCONNECT)
            self._kick.set()
            start = ticks_ms()
            while self._control or self._write_ms is not None:
                if ticks_diff(ticks_ms(), start) >= 1000:
                    break
                await asyncio.sleep_ms(5)

    # --- in

    async def _read(self, stream):
        parser = packets.Parser(self._max_payload)
        while True:
            size = await stream.readinto(parser.want())
            if size is None:
                continue
            if size == 0:
                raise Lost("closed by the broker")
            self._rx_ms = ticks_ms()
            packet = parser.took(size)
            if packet is not None:
                self._take(packet)

    def _take(self, packet):
        kind = packet.kind
        if kind == packets.PUBLISH and self._phase != _CONNECTING:
            self._publish(packet)
        elif kind == packets.PUBACK and self._phase == _ONLINE:
            self.outbox.acknowledge(packet.pid)
            self._kick.set()
        elif kind == packets.PINGRESP and self._phase == _ONLINE:
            self._ping_ms = None
        elif kind == packets.CONNACK and self._phase == _CONNECTING:
            self._connack(packet)
        elif kind == packets.SUBACK and self._phase == _SUBSCRIBING:
            self._suback(packet)
        else:
            raise Lost("packet %d is out of place" % kind)

    def _connack(self, packet):
        self.failed_handshakes = 0
        if packet.code:
            code = packet.code
            raise Lost("refused: %s" % (packets.REFUSALS[code] if code < 6 else "code %d" % code))
        self._phase = _SUBSCRIBING
        self._phase_ms = ticks_ms()
        self._control.append(
            packets.subscribe(
                self.outbox.new_pid(), [(name, qos) for name, qos, _ in self._subscriptions]
            )
        )
        self._kick.set()

    def _suback(self, packet):
        if len(packet.codes) != len(self._subscriptions):
            raise Lost("SUBACK for %d topics" % len(packet.codes))
        for (name, _, required), code in zip(self._subscriptions, packet.codes):
            if code & 0x80:
                log("mqtt: the broker refuses the subscription to %s" % name)
                if required:
                    raise Lost("no commands without that subscription")
        self._phase = _ONLINE
        self.connects += 1
        self.outbox.put_first(self._on_connect)
        self._kick.set()

    def _publish(self, packet):
        if packet.payload is None:
            self.oversize += 1
            log("mqtt: skipped a payload of %d bytes" % packet.size)
        try:
            self._on_message(packet.topic, packet.payload, packet.retain, packet.dup)
        except Exception as error:
            sys.print_exception(error)
        if packet.qos:
            self._acks.append(packet.pid)
            self._kick.set()

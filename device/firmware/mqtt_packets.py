# MQTT 3.1.1, bytes <-> packets, with no I/O. Runs under CPython and MicroPython.
#
# Outgoing: functions that return the bytes of one packet. Of a PUBLISH only the head is made here:
# the payload is written after it from where it lies, so it is never copied. Incoming: Parser says
# where the next bytes go and how many it can take; a read of any size is legal. Format:
# https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html
import struct

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


CONNACK = const(2)
PUBLISH = const(3)
PUBACK = const(4)
SUBACK = const(9)
PINGRESP = const(13)

PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"

MAX_REMAINING = const(268435455)

# What a CONNACK code says, for the log.
REFUSALS = (
    "accepted",
    "the broker does not speak MQTT 3.1.1",
    "the broker refuses this client id",
    "the broker is not available",
    "user name or password is wrong",
    "this user may not connect",
)


# The peer sent what MQTT 3.1.1 does not allow; the connection has to be closed.
class MqttError(Exception):
    pass


def _put_length(length, out):
    if length > MAX_REMAINING:
        raise MqttError("packet of %d bytes" % length)
    while True:
        low = length & 0x7F
        length >>= 7
        out.append(low | 0x80 if length else low)
        if not length:
            return


def _put_text(text, out):
    raw = text.encode() if isinstance(text, str) else text
    out.extend(struct.pack(">H", len(raw)))
    out.extend(raw)


def _framed(first, body):
    out = bytearray((first,))
    _put_length(len(body), out)
    out.extend(body)
    return out


# CONNECT with a clean session and a will of QoS 1, retained. user and password may be None.
def connect(client_id, keepalive_s, will_topic, will_payload, user=None, password=None):
    flags = 0x02 | 0x04 | 1 << 3 | 0x20
    body = bytearray()
    _put_text("MQTT", body)
    if user is not None:
        flags |= 0x80
        if password is not None:
            flags |= 0x40
    body.extend(struct.pack(">BBH", 4, flags, keepalive_s))
    _put_text(client_id, body)
    _put_text(will_topic, body)
    _put_text(will_payload, body)
    if user is not None:
        _put_text(user, body)
        if password is not None:
            _put_text(password, body)
    return _framed(0x10, body)


# topics: pairs of (filter, QoS).
def subscribe(pid, topics):
    body = bytearray(struct.pack(">H", pid))
    for name, qos in topics:
        _put_text(name, body)
        body.append(qos)
    return _framed(0x82, body)


# Everything of a PUBLISH before its payload of `size` bytes. pid counts only with qos > 0.
def publish_head(topic, size, qos=0, retain=False, dup=False, pid=0):
    raw = topic.encode()
    out = bytearray((0x30 | (8 if dup else 0) | qos << 1 | (1 if retain else 0),))
    _put_length(2 + len(raw) + (2 if qos else 0) + size, out)
    _put_text(raw, out)
    if qos:
        out.extend(struct.pack(">H", pid))
    return out


def puback(pid):
    return struct.pack(">BBH", 0x40, 2, pid)


# One incoming packet. The parser owns it and uses it again for the next one.
#   PUBLISH   dup, qos, retain, topic, pid (0 with QoS 0), size; payload: a view that lives until
#             the next want(), or None where it was too large and was skipped (topic is then None)
#   CONNACK   code, present (session present)     PUBACK  pid     SUBACK  pid, codes
class Packet:
    def __init__(self):
        self.kind = 0
        self.dup = self.retain = self.present = False
        self.qos = self.pid = self.size = self.code = 0
        self.topic = self.payload = self.codes = None


_FIRST = const(0)  # the byte with kind and flags
_LENGTH = const(1)  # the remaining length, byte by byte
_BODY = const(2)  # a packet that fits
_BIG_TOPIC = const(3)  # a PUBLISH that does not: length of the topic,
_BIG_PID = const(4)  # after the skipped topic, the packet id,
_BIG_REST = const(5)  # and after the skipped payload, the end

_FLAGS = {CONNACK: 0, PUBACK: 0, SUBACK: 0, PINGRESP: 0}


class Parser:
    # max_payload: a PUBLISH with more is skipped in slices and reported without payload.
    def __init__(self, max_payload, max_topic=128):
        self._max_payload = max_payload
        self._room = max_payload + max_topic + 4
        self._view = memoryview(bytearray(self._room))
        self._packet = Packet()
        self._skip = 0
        self._length = 0
        self._shift = 0
        self._rest = 0
        self._expect(_FIRST, 1)

    def _expect(self, step, size):
        self._step = step
        self._at = 0
        self._end = size

    # Where the next bytes go: at least one, at most what may be read without passing the packet's
    # end.
    def want(self):
        if self._skip:
            return self._view[: min(self._skip, self._room)]
        return self._view[self._at : self._end]

    # `size` bytes have been put where want() said. The packet that they complete, or None.
    def took(self, size):
        if self._skip:
            self._skip -= size
            if self._skip:
                return None
        else:
            self._at += size
        if self._at < self._end:
            return None
        step = self._step
        if step == _FIRST:
            return self._first(self._view[0])
        if step == _LENGTH:
            return self._more_length(self._view[0])
        if step == _BODY:
            return self._complete()
        if step == _BIG_TOPIC:
            return self._big_topic()
        if step == _BIG_PID:
            self._packet.pid = self._pid(0)
            return self._skip_rest()
        self._expect(_FIRST, 1)
        return self._packet

    def _first(self, byte):
        packet = self._packet
        packet.kind = byte >> 4
        packet.dup = bool(byte & 8)
        packet.qos = byte >> 1 & 3
        packet.retain = bool(byte & 1)
        packet.pid = packet.size = 0
        packet.topic = packet.payload = packet.codes = None
        if packet.kind == PUBLISH:
            if packet.qos > 1:
                raise MqttError("PUBLISH of QoS %d" % packet.qos)
        elif _FLAGS.get(packet.kind) != byte & 15:
            raise MqttError("first byte 0x%02x" % byte)
        self._length = 0
        self._shift = 0
        self._expect(_LENGTH, 1)

    def _more_length(self, byte):
        self._length |= (byte & 0x7F) << self._shift
        self._shift += 7
        if byte & 0x80:
            if self._shift == 28:
                raise MqttError("remaining length of more than four bytes")
            self._expect(_LENGTH, 1)
            return None
        if self._length == 0:
            return self._complete()
        if self._length <= self._room:
            self._expect(_BODY, self._length)
            return None
        if self._packet.kind != PUBLISH:
            raise MqttError("packet %d of %d bytes" % (self._packet.kind, self._length))
        self._rest = self._length
        self._expect(_BIG_TOPIC, 2)
        return None

    def _complete(self):
        packet = self._packet
        kind = packet.kind
        length = self._length
        view = self._view
        if kind == PUBLISH:
            self._publish(packet, length)
        elif kind == SUBACK:
            if length < 3:
                raise MqttError("SUBACK of %d bytes" % length)
            packet.pid = self._pid(0)
            packet.codes = bytes(view[2:length])
        elif length != (0 if kind == PINGRESP else 2):
            raise MqttError("packet %d of %d bytes" % (kind, length))
        elif kind == CONNACK:
            packet.present = bool(view[0] & 1)
            packet.code = view[1]
        elif kind == PUBACK:
            packet.pid = self._pid(0)
        self._expect(_FIRST, 1)
        return packet

    def _publish(self, packet, length):
        view = self._view
        at = 2 + (view[0] << 8 | view[1]) if length >= 2 else length + 1
        head = at + (2 if packet.qos else 0)
        if head > length:
            raise MqttError("PUBLISH cut short")
        if packet.qos:
            packet.pid = self._pid(at)
        packet.size = length - head
        if packet.size > self._max_payload:
            return
        try:
            packet.topic = str(bytes(view[2:at]), "utf-8")
        except (UnicodeError, ValueError):
            raise MqttError("topic is not UTF-8") from None
        packet.payload = view[head:length]

    def _pid(self, at):
        pid = self._view[at] << 8 | self._view[at + 1]
        if pid == 0:
            raise MqttError("packet id 0")
        return pid

    def _big_topic(self):
        topic = self._view[0] << 8 | self._view[1]
        self._rest -= 2 + topic
        if self._packet.qos:
            self._rest -= 2
        if self._rest < 0:
            raise MqttError("PUBLISH cut short")
        self._packet.size = self._rest
        self._skip = topic
        if not self._packet.qos:
            return self._skip_rest(topic)
        # took() comes back to _BIG_PID twice: with the topic skipped, then with the two bytes read.
        self._expect(_BIG_PID, 2)
        return None

    def _skip_rest(self, before=0):
        self._skip = before + self._rest
        self._expect(_BIG_REST, 0)
        if self._skip:
            return None
        self._expect(_FIRST, 1)
        return self._packet

# Messages on their way to the broker: bounded, in order, until they are acknowledged. No I/O.
#
#   WAITING -taken to be written-> SENT -PUBACK-> ACKED        QoS 0 ends at SENT
#   SENT -connection lost-> WAITING, with DUP                  WAITING, SENT -no room-> DROPPED
try:
    from micropython import const
except ImportError:

    def const(value):
        return value


WAITING = const(0)
SENT = const(1)
ACKED = const(2)
DROPPED = const(3)

_WINDOW = const(8)  # messages that may be unacknowledged on the line
_MAX_TELEMETRY = const(8)  # messages of telemetry
_MAX_MESSAGES = const(24)  # messages of all kinds


class Message:
    def __init__(self, topic, payload, qos, retain, telemetry):
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.telemetry = telemetry
        self.state = WAITING
        self.dup = False
        self.pid = 0


class Outbox:
    def __init__(self):
        self.dropped = 0
        self.resent = 0
        self._messages = []
        self._pid = 0

    def __len__(self):
        return len(self._messages)

    # Puts a message at the end. Telemetry may be dropped for it, oldest first; where there is none
    # left to drop, the oldest message of all.
    def add(self, message):
        if message.telemetry:
            self._make_room(_MAX_TELEMETRY, True)
        self._make_room(_MAX_MESSAGES, False)
        self._messages.append(message)

    def _make_room(self, most, only_telemetry):
        count = 0
        oldest = None
        for message in self._messages:
            if message.telemetry or not only_telemetry:
                count += 1
                if oldest is None or (message.telemetry and not oldest.telemetry):
                    oldest = message
        if count >= most:
            self._messages.remove(oldest)
            self.drop(oldest)

    def drop(self, message):
        message.state = DROPPED
        self.dropped += 1

    # The next message to write, with its packet id, now SENT; None when there is none, or when so
    # many are unacknowledged that it has to wait.
    def take(self):
        under_way = 0
        for message in self._messages:
            if message.state == SENT:
                under_way += 1
            elif under_way >= _WINDOW:
                return None
            else:
                message.state = SENT
                if message.qos == 0:
                    self._messages.remove(message)
                elif not message.pid:
                    message.pid = self.new_pid()
                return message
        return None

    # A packet id that no message here uses, 1..65535.
    def new_pid(self):
        while True:
            self._pid = self._pid % 65535 + 1
            if not any(message.pid == self._pid for message in self._messages):
                return self._pid

    # The broker has the message with this packet id. Ids that are not here, as of dropped ones, are
    # fine.
    def acknowledge(self, pid):
        for message in self._messages:
            if message.pid == pid and message.state == SENT:
                message.state = ACKED
                self._messages.remove(message)
                return

    # The connection is lost: what was on the line goes out again, but no retained message. The
    # state that those tell is published anew at every connect.
    def rewind(self):
        kept = []
        for message in self._messages:
            if message.qos == 0 or message.retain:
                message.state = DROPPED
                continue
            if message.state == SENT:
                message.dup = True
                message.state = WAITING
                self.resent += 1
            kept.append(message)
        self._messages = kept

    # Runs `fill`, which adds messages; they go before what was here already.
    def put_first(self, fill):
        left = self._messages
        self._messages = []
        fill()
        self._messages.extend(left)

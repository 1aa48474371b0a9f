# What the device says: topics, envelope and numbering of its messages (SPEC, "Envelope").
from clock import Uptime, unix_ms
from moteye_protocol.codec import pack
from moteye_protocol.wire import TOPIC_ROOT, TOPICS, VERSION


class Messages:
    def __init__(self, device_id, session):
        self.session = session
        self.uptime = Uptime()
        self.client = None  # set once, before anything is published
        self.topics = {}
        for name, entry in TOPICS.items():
            self.topics[name] = "%s/%s/%s" % (TOPIC_ROOT, device_id, entry[0])
        self._number = 0

    # Payload of a status; the will is one, too.
    def status(self, state):
        return pack({"v": VERSION, "s": self.session, "state": state})

    def publish_status(self, state):
        return self.client.publish(self.topics["status"], self.status(state), 1, True)

    # telemetry: may be dropped when the broker is away for long. Returns the message, whose state
    # tells what became of it.
    def publish(self, name, fields, telemetry=False):
        message = {
            "v": VERSION,
            "s": self.session,
            "n": self._number,
            "t": unix_ms(),
            "up": self.uptime.ms(),
        }
        self._number += 1
        message.update(fields)
        entry = TOPICS[name]
        return self.client.publish(self.topics[name], pack(message), entry[2], entry[3], telemetry)

# Run by MicroPython: a broker in memory and a line to it, for device_failing.py and
# device_timeouts.py, which say how the line fails.


# Waits as good as nothing between connections.
class QuickBackoff:
    def __init__(self, seed):
        pass

    def next_ms(self):
        return 1

    def reset(self):
        pass


# A PUBLISH of QoS 1 on the topic `cmd`.
def command_packet(pid, payload):
    head = b"\x00\x03cmd" + bytes((pid >> 8, pid & 255))
    size = len(head) + len(payload)
    length = bytes((size,)) if size < 128 else bytes((size & 127 | 128, size >> 7))
    return b"\x32" + length + head + payload


# Accepts everything and acknowledges what it got. The other methods are for those who know more.
class Broker:
    def answer(self, kind, body):
        if kind == 1:
            return b"\x20\x02\x00\x00"
        if kind == 8:
            return b"\x90\x03" + body[:2] + b"\x01" + self.commands()
        if kind == 3:
            end = 2 + (body[0] << 8 | body[1])
            self.heard(bytes(body[end + 2 :]))
            return b"\x40\x02" + bytes(body[end : end + 2])
        if kind == 4:
            return self.acknowledged(body[0] << 8 | body[1])
        return b"\xd0\x00" if kind == 12 else b""

    # What it sends to who has subscribed.
    def commands(self):
        return b""

    def heard(self, payload):
        pass

    # What it sends after an acknowledgement.
    def acknowledged(self, pid):
        return b""


# A stream to a broker. What was written is answered as soon as a packet is whole.
class Line:
    def __init__(self, broker):
        self._broker = broker
        self._in = b""
        self._out = b""
        self._open = True

    def write(self, data):
        self._in += bytes(data)
        while len(self._in) >= 2 and len(self._in) >= 2 + self._in[1]:
            end = 2 + self._in[1]
            self._out += self._broker.answer(self._in[0] >> 4, self._in[2:end])
            self._in = self._in[end:]

    # So many of the bytes that have arrived.
    def take(self, view, most):
        size = min(len(view), len(self._out), most)
        view[:size] = self._out[:size]
        self._out = self._out[size:]
        return size

    def close(self):
        self._open = False

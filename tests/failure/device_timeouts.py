# Run by MicroPython: the firmware's MQTT client, whose broker falls silent at random moments, so
# that its deadlines end one connection after the other (T63). The clock is virtual: where every
# task waits, it is put forward. Prints what was seen; an assertion that fails ends it with a
# traceback.
#
#   micropython -X heapsize=400k device_timeouts.py TIMEOUTS SEED
import asyncio
import gc
import random
import sys
import time

import mqtt
from mqtt_outbox import ACKED

_KEEPALIVE_S = 1
_MAX_PAYLOAD = 1024
_LONGEST_PAUSE_MS = 300  # well below every deadline
_SETTLED = 200  # timeouts after which nothing may grow any more


# Begins at the real one, since asyncio's own C code dates by that whatever is to run at once.
class Clock:
    ticks = time.ticks_ms()
    passed_ms = 0


def ticks_ms():
    return Clock.ticks


def _skip(ms):
    if ms < 0:
        raise SystemExit("every task waits for ever")
    Clock.ticks = time.ticks_add(Clock.ticks, ms)
    Clock.passed_ms += ms


class QuickBackoff:
    def __init__(self, seed):
        pass

    def next_ms(self):
        return 1

    def reset(self):
        pass


def _no_log(text):
    Seen.said.append(text)


class Seen:
    said = []
    tasks = []  # of the connections so far, those that are not done
    heard = 0  # commands, in order, once each
    published = 0  # messages, in order, once each


def create_task(coroutine):
    task = asyncio.create_task(coroutine)
    Seen.tasks.append(task)
    return task


# Speaks in pieces, with pauses; sends its next command until it is acknowledged. A connection of it
# falls silent after so many bytes.
class Broker:
    def __init__(self):
        self.pid = 1

    def command(self):
        payload = b"command %d " % Seen.heard
        payload += b"x" * random.randrange(120)
        head = b"\x00\x03cmd" + bytes((self.pid >> 8, self.pid & 255))
        size = len(head) + len(payload)
        length = bytes((size,)) if size < 128 else bytes((size & 127 | 128, size >> 7))
        return b"\x32" + length + head + payload

    def answer(self, kind, body):
        if kind == 1:
            return b"\x20\x02\x00\x00"
        if kind == 8:
            return b"\x90\x03" + body[:2] + b"\x01" + self.command()
        if kind == 3:
            end = 2 + (body[0] << 8 | body[1])
            number = int(bytes(body[end + 2 :]))
            assert number <= Seen.published, (number, Seen.published)
            Seen.published = max(Seen.published, number + 1)
            return b"\x40\x02" + bytes(body[end : end + 2])
        if kind == 4:
            assert body == bytes((self.pid >> 8, self.pid & 255)), body
            self.pid = self.pid % 60000 + 1
            return self.command()
        return b"\xd0\x00" if kind == 12 else b""


class Line:
    def __init__(self, broker):
        self._broker = broker
        self._in = b""
        self._out = b""
        self._left = random.randrange(5) if random.random() < 0.05 else random.randrange(9, 160)
        self._open = True

    async def readinto(self, view):
        while not self._out or not self._left:
            if not self._open:
                return 0
            await asyncio.sleep_ms(100 if self._left else 1000)
        if random.random() < 0.1:
            await asyncio.sleep_ms(random.randrange(_LONGEST_PAUSE_MS))
        size = min(len(view), len(self._out), self._left, random.randrange(1, 40))
        view[:size] = self._out[:size]
        self._out = self._out[size:]
        self._left -= size
        return size

    def write(self, data):
        self._in += bytes(data)
        while len(self._in) >= 2 and len(self._in) >= 2 + self._in[1]:
            end = 2 + self._in[1]
            self._out += self._broker.answer(self._in[0] >> 4, self._in[2:end])
            self._in = self._in[end:]

    async def drain(self):
        await asyncio.sleep_ms(0)

    def close(self):
        self._open = False


# A whole command, and the one that is due or the one before: nothing lost, torn or out of order.
def hear(topic, payload, retain, dup):
    word, number, rest = bytes(payload).split(b" ")
    assert topic == "cmd" and word == b"command" and rest == b"x" * len(rest), payload
    assert int(number) == Seen.heard, (number, Seen.heard)
    Seen.heard += 1


class Rig:
    def __init__(self):
        broker = Broker()
        self.lines = 0
        self.unacknowledged = None
        self.sent = 0
        self.client = mqtt.Client(
            "cam",
            lambda: self._open(broker),
            ("status", b"offline"),
            (("cmd", 1, True),),
            lambda: None,
            hear,
            _MAX_PAYLOAD,
        )
        self.client.keepalive_s = _KEEPALIVE_S
        self.client.healthy_ms = 0  # short sessions are no twin here

    def _open(self, broker):
        self.lines += 1
        Seen.tasks = [task for task in Seen.tasks if not task.done()]
        return Line(broker)

    # One message after the other is on its way.
    async def publish(self):
        while True:
            if self.unacknowledged is None or self.unacknowledged.state == ACKED:
                self.unacknowledged = self.client.publish("told", b"%d" % self.sent, 1)
                self.sent += 1
            await asyncio.sleep_ms(200)


async def run(timeouts):
    rig = Rig()
    work = (asyncio.create_task(rig.client.run()), asyncio.create_task(rig.publish()))
    settled = None
    while rig.lines <= timeouts:
        await asyncio.sleep_ms(1000)
        assert len(Seen.tasks) <= 4, "tasks of %d connections are left" % (len(Seen.tasks) // 2)
        del Seen.said[:-4]
        if settled is None and rig.lines >= _SETTLED:
            gc.collect()
            settled = gc.mem_alloc()
    for task in work:
        task.cancel()
    gc.collect()
    return rig.lines - 1, gc.mem_alloc() - settled


def main():
    random.seed(int(sys.argv[2]))
    asyncio.core.ticks = ticks_ms
    asyncio.core._io_queue.wait_io_event = _skip
    mqtt.ticks_ms = ticks_ms
    mqtt.Backoff = QuickBackoff
    mqtt.log = _no_log
    mqtt.asyncio = Asyncio
    timeouts, grown = asyncio.run(run(int(sys.argv[1])))
    reasons = (timeouts, Seen.heard, Seen.published, Clock.passed_ms // 1000, grown)
    print("%d timeouts: %d commands, %d messages, in %d s of its clock; %d bytes more" % reasons)


# What mqtt.py takes from asyncio, with its tasks counted.
class Asyncio:
    Event = asyncio.Event
    sleep_ms = asyncio.sleep_ms
    create_task = staticmethod(create_task)


main()

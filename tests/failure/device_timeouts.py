# Run by MicroPython: the firmware's MQTT client, whose broker falls silent at random moments, so
# that its deadlines end one connection after the other (T63). The clock is virtual: where every
# task waits, it is put forward. Prints what was seen; an assertion that fails ends it with a
# traceback.
#
#   micropython -X heapsize=448k device_timeouts.py TIMEOUTS SEED
import asyncio
import gc
import random
import sys
import time

import mqtt
from device_line import Broker, Line, QuickBackoff, command_packet
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
class TalkingBroker(Broker):
    def __init__(self):
        self.pid = 1

    def commands(self):
        payload = b"command %d " % Seen.heard
        payload += b"x" * random.randrange(120)
        return command_packet(self.pid, payload)

    def heard(self, payload):
        number = int(payload)
        assert number <= Seen.published, (number, Seen.published)
        Seen.published = max(Seen.published, number + 1)

    def acknowledged(self, pid):
        assert pid == self.pid, (pid, self.pid)
        self.pid = self.pid % 60000 + 1
        return self.commands()


class SilentLine(Line):
    def __init__(self, broker):
        super().__init__(broker)
        self._left = random.randrange(5) if random.random() < 0.05 else random.randrange(9, 160)

    async def readinto(self, view):
        while not self._out or not self._left:
            if not self._open:
                return 0
            await asyncio.sleep_ms(100 if self._left else 1000)
        if random.random() < 0.1:
            await asyncio.sleep_ms(random.randrange(_LONGEST_PAUSE_MS))
        size = self.take(view, min(self._left, random.randrange(1, 40)))
        self._left -= size
        return size

    async def drain(self):
        await asyncio.sleep_ms(0)


# A whole command, and the one that is due or the one before: nothing lost, torn or out of order.
def hear(topic, payload, retain, dup):
    word, number, rest = bytes(payload).split(b" ")
    assert topic == "cmd" and word == b"command" and rest == b"x" * len(rest), payload
    assert int(number) == Seen.heard, (number, Seen.heard)
    Seen.heard += 1


class Rig:
    def __init__(self):
        broker = TalkingBroker()
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
        return SilentLine(broker)

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

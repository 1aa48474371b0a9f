# Run by MicroPython: the n-th operation of the device's line fails; then, memory runs out in each
# operation of its inbox. Prints what was tried; an assertion that fails ends it with a traceback.
#
#   micropython -X heapsize=448k device_failing.py SET.meps ENCODER_HASH STEP_BYTES
import asyncio
import gc
import hashlib
import sys

import mqtt
from device_line import Broker, Line, QuickBackoff, command_packet
from flash import RamFlash
from inbox import Inbox
from log import log
from messages import Messages
from micropython import const
from moteye_protocol.codec import pack, unpack
from mqtt_outbox import ACKED
from slots import flash_bytes
from swap import Swap

_MESSAGES = const(6)
_COMMANDS = const(3)
_DEADLINE_MS = const(8000)
_MOST_FREE = const(12288)
_SECTOR = const(4096)
_MAX_SET = const(16384)
_CHUNK = const(1024)


# The same as tests/support/failing.py.
class Failing:
    def __init__(self, fail_at):
        self.steps = self.failures = 0
        self.fail_at = fail_at

    def due(self):
        number, self.steps = self.steps, self.steps + 1
        if number == self.fail_at:
            self.failures += 1
            return True
        return False


# Sends its commands at each connect until they are acknowledged.
class StubbornBroker(Broker):
    def __init__(self):
        self.published = []
        self.unheard = {number + 1: b"command %d" % number for number in range(_COMMANDS)}

    def commands(self):
        return b"".join(command_packet(pid, payload) for pid, payload in self.unheard.items())

    def heard(self, payload):
        self.published.append(payload)

    def acknowledged(self, pid):
        self.unheard.pop(pid, None)
        return b""


# Each read, write and drain may be the one that fails.
class FailingLine(Line):
    def __init__(self, broker, failing):
        super().__init__(broker)
        self._failing = failing

    def _check(self):
        if self._failing.due() or not self._open:
            self._open = False
            raise OSError(104)

    async def readinto(self, view):
        while not self._out:
            if not self._open:
                return 0
            await asyncio.sleep_ms(1)
        self._check()
        return self.take(view, len(view))

    def write(self, data):
        self._check()
        super().write(data)

    async def drain(self):
        self._check()


# Returns whether the operation was reached.
async def lose(number):
    failing = Failing(number)
    broker = StubbornBroker()
    heard = []
    client = mqtt.Client(
        "cam",
        lambda: FailingLine(broker, failing),
        ("status", b"offline"),
        (("cmd", 1, True),),
        lambda: None,
        lambda topic, payload, retain, dup: heard.append(bytes(payload)),
        1024,
    )
    client.keepalive_s = 1
    sent = [client.publish("told", b"message %d" % index, 1) for index in range(_MESSAGES)]
    task = asyncio.create_task(client.run())
    for _ in range(_DEADLINE_MS // 5):
        await asyncio.sleep_ms(5)
        if not broker.unheard and all(message.state == ACKED for message in sent):
            break
    task.cancel()
    first = []
    for payload in broker.published:
        if payload not in first:
            first.append(payload)
    assert first == [b"message %d" % index for index in range(_MESSAGES)], (number, first)
    assert all(message.state == ACKED for message in sent), number
    assert not broker.unheard, number
    for index in range(_COMMANDS):
        assert b"command %d" % index in heard, (number, heard)
    return failing.failures


async def lose_all():
    mqtt.Backoff = QuickBackoff
    number = 0
    while await lose(number):
        number += 1
    return number


# --- memory


class Said:
    state = ACKED


class FakeClient:
    def __init__(self):
        self.connects = self.losses = self.oversize = 0
        self.outbox = self
        self.dropped = self.resent = 0
        self.said = []

    def publish(self, topic, payload, qos=0, retain=False, telemetry=False):
        self.said.append((topic, bytes(payload)))
        return Said


class FakeEye:
    encode_ms = 1
    stale_frames = 0


class Rig:
    def __init__(self, encoder):
        self.client = FakeClient()
        self.messages = Messages("cam", 1)
        self.messages.client = self.client
        self.flash = RamFlash(flash_bytes(_MAX_SET, _SECTOR), _SECTOR)
        self.encoder = encoder
        self.swap = self.boot()
        self.inbox = Inbox(self.messages, self.swap, None, FakeEye, lambda: None)
        self.tids = 0

    def boot(self):
        swap = Swap(self.flash, True, self.encoder, 64, _MAX_SET, 5000, self.tell)
        swap.boot(None, None)
        return swap

    def tell(self):
        self.swap.told = self.messages.publish("set_state", self.swap.fields())

    def command(self, op, args):
        self.tids += 1
        fields = {"v": 1, "tid": "t%d" % self.tids, "s": None, "issued": 0, "ttl": 1 << 50}
        fields["op"] = op
        fields["args"] = args
        return self.messages.topics["command"], pack(fields)

    # As the MQTT client calls it: whatever goes wrong ends with this message.
    def take(self, message):
        try:
            self.inbox.take(message[0], memoryview(message[1]), False)
        except Exception as error:
            return error
        return None

    def code(self):
        topic, payload = self.client.said[-1]
        return unpack(payload)["code"]


def transfer(rig, data, name):
    yield rig.command("set.begin", {"sha256": hashlib.sha256(data).digest(), "size": len(data)})
    for index in range((len(data) + _CHUNK - 1) // _CHUNK):
        piece = data[index * _CHUNK : (index + 1) * _CHUNK]
        yield (
            rig.messages.topics["set_chunk"],
            pack({"v": 1, "set": name, "i": index, "data": piece}),
        )


def live(rig):
    for _ in range(3):
        rig.swap.looked(bytes(256))
    rig.swap.tick(1)


# Leaves about `free` bytes.
def fill(free):
    gc.collect()
    ballast = [None] * 4096
    at = 0
    for size in (4096, 256, 16):
        try:
            while True:
                ballast[at] = bytearray(size)
                at += 1
        except MemoryError:
            pass
    while free > 0 and at:
        at -= 1
        free -= len(ballast[at])
        ballast[at] = None
    gc.collect()
    return ballast


# Whether the installed set is whole, the device obeys, and a restart finds what it uses.
def check(rig, before, data, name):
    active = rig.swap.active
    used = active.hash if active else None
    assert used in (before, name), used
    if active:
        assert hashlib.sha256(active.data).digest()[:8] == active.hash
    if active and rig.swap.fields()["state"] != "trial":
        gc.collect()
        booted = rig.boot()
        assert booted.active and booted.active.hash == used


def starve(data, encoder, step):
    name = hashlib.sha256(data).digest()[:8]
    tried = starved = 0
    for free in range(0, _MOST_FREE, step):
        rig = Rig(encoder)
        messages = [rig.command("ping", {}), rig.command("report", {})]
        messages += list(transfer(rig, data, name))
        for message in messages:
            ballast = fill(free)
            error = rig.take(message)
            ballast = None
            gc.collect()
            tried += 1
            if error is not None:
                assert isinstance(error, MemoryError), error
                starved += 1
        live(rig)
        check(rig, None, data, name)
        # memory is back: the same set arrives whole
        rig.swap.abort(name)
        for message in transfer(rig, data, name):
            assert rig.take(message) is None
        live(rig)
        assert rig.swap.active.hash == name, (free, rig.swap.fields())
        assert rig.take(rig.command("ping", {})) is None
        assert rig.code() == "ok"
        rig = None
    return tried, starved


def main():
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    log("line: %d operations failed in turn" % asyncio.run(lose_all()))
    gc.collect()
    tried, starved = starve(data, bytes.fromhex(sys.argv[2]), int(sys.argv[3]))
    log("memory: %d operations, %d of them starved" % (tried, starved))


main()

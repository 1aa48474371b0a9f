# The watchdog (T65). It is fed by the main loop alone, and only while every part of the program
# gets on. Memory that a reset leaves holds what the program is at, so that the next run can say
# where the one before it stood still.
#
# A port brings machine.WDT, machine.reset and machine.reset_cause, or `restart` with the same; and
# for the stage restart.kept() or machine.RTC().memory(). Where one of these is missing the device
# does without.
from log import log
from micropython import const

STAGES = (
    "start",
    "loop",  # between the others: asyncio and the lines
    "camera",
    "encode",
    "match",
    "publish",
    "command",
    "swap",
    "flash",
    "link",
    "handshakes",  # so many have failed that the program ended this run itself
)
START = const(0)
LOOP = const(1)
CAMERA = const(2)
ENCODE = const(3)
MATCH = const(4)
PUBLISH = const(5)
COMMAND = const(6)
SWAP = const(7)
FLASH = const(8)
LINK = const(9)
HANDSHAKES = const(10)

_MAGIC = const(0x57)
_CHECK = const(0xA5)
_BYTES = const(3)  # magic, stage, stage ^ _CHECK
_SHORTEST_MS = const(8000)  # what every board's timer can count


def _port():
    for name in ("restart", "machine"):
        try:
            module = __import__(name)
        except ImportError:
            continue
        if hasattr(module, "reset_cause"):
            return module
    return None


# RTC memory as kept() has it: each change is written at once.
class _RtcMemory:
    def __init__(self, rtc):
        self._rtc = rtc
        self._bytes = bytearray(rtc.memory()[:_BYTES])
        if len(self._bytes) < _BYTES:
            self._bytes = bytearray(_BYTES)

    def __getitem__(self, index):
        return self._bytes[index]

    def __setitem__(self, index, value):
        self._bytes[index] = value
        self._rtc.memory(self._bytes)


def _kept_memory(port):
    try:
        return port.kept()
    except AttributeError:
        pass
    try:
        return _RtcMemory(port.RTC())
    except AttributeError:
        return bytearray(_BYTES)  # does not outlive a reset: the next run does not know the stage


class Watchdog:
    # timeout_ms: 0 for none. port: what a reset needs, the port's own without.
    def __init__(self, timeout_ms, port=None):
        self._port = port or _port()
        self._kept = bytearray(_BYTES) if self._port is None else _kept_memory(self._port)
        self._parts = []
        self._late = None
        self.reset, self.stage = self._why()
        self._kept[0] = _MAGIC
        self.enter(START)
        self._timer = self._start(timeout_ms)

    # Why this run began, and the stage that the one before ended in, "" where neither is known.
    def _why(self):
        port = self._port
        if port is None:
            return "", ""
        cause = port.reset_cause()
        kept = self._kept
        stage = kept[1] if kept[0] == _MAGIC and kept[1] ^ kept[2] == _CHECK else len(STAGES)
        if stage == HANDSHAKES:
            return "handshakes", ""
        if cause == getattr(port, "WDT_RESET", None):
            return "watchdog", STAGES[stage] if stage < len(STAGES) else ""
        for constant, name in (
            ("PWRON_RESET", "power"),
            ("HARD_RESET", "pin"),
            ("SOFT_RESET", "software"),
            ("DEEPSLEEP_RESET", "sleep"),
        ):
            if cause == getattr(port, constant, None):
                return name, ""
        return "other", ""

    def _start(self, timeout_ms):
        if not timeout_ms:
            return None
        make = getattr(self._port, "WDT", None)
        if make is None:
            log("watchdog: this port has none")
            return None
        try:
            return make(timeout=timeout_ms)
        except ValueError:
            log("watchdog: this port counts no further than %d ms" % _SHORTEST_MS)
            return make(timeout=_SHORTEST_MS)
        except OSError as error:
            log("watchdog: this system has none: %r" % error)
            return None

    # Notes what the program is at; returns what it was at before. Allocates nothing.
    def enter(self, stage):
        kept = self._kept
        before = kept[1]
        if self._late is None:
            kept[1] = stage
            kept[2] = stage ^ _CHECK
        return before

    # From now on count() must give another number at least every limit_ms, or it is not fed.
    def watch(self, stage, limit_ms, count, now_ms):
        self._parts.append([stage, limit_ms, count, count(), now_ms])

    # By the main loop. Feeds if every part got on in time; else never again.
    def feed(self, now_ms):
        if self._timer is None or self._late is not None:
            return
        for part in self._parts:
            count = part[2]()
            if count != part[3]:
                part[3] = count
                part[4] = now_ms
            elif now_ms - part[4] >= part[1]:
                self._give_up(part, now_ms)
                return
        self._timer.feed()

    def _give_up(self, part, now_ms):
        log("watchdog: %s has stood still for %d ms" % (STAGES[part[0]], now_ms - part[4]))
        self.enter(part[0])
        self._late = part[0]

    # Ends this run for a reason that the next one tells. Returns only where the port cannot do it.
    def restart(self, stage):
        self.enter(stage)
        if self._port is None or not hasattr(self._port, "reset"):
            log("watchdog: this port cannot reset itself")
            return
        log("watchdog: resets the device: %s" % STAGES[stage])
        self._port.reset()


# A flash whose every operation is a stage. Each is short: one sector, or one chunk.
class WatchedFlash:
    def __init__(self, flash, watchdog):
        self.size = flash.size
        self.sector_bytes = flash.sector_bytes
        self.read_into = flash.read_into
        self._flash = flash
        self._watchdog = watchdog

    def erase(self, offset):
        before = self._watchdog.enter(FLASH)
        self._flash.erase(offset)
        self._watchdog.enter(before)

    def program(self, offset, data):
        before = self._watchdog.enter(FLASH)
        self._flash.program(offset, data)
        self._watchdog.enter(before)

# Where frames come from. StreamCamera pulls them from a helper, over TCP or a UART: it sends b"N"
# and gets a header and RGB888 pixels. Pulling means that a frame is never older than the wait for
# it (T22).
#
#   header, little-endian: "MEFR", id u32, age_ms u32 (of the frame, at hand-over), width u16,
#   height u16, bytes u32
#
# A board adds its own class here with the same attributes and capture().
import asyncio
import struct

from clock import ticks_diff, ticks_ms
from log import log
from micropython import const
from moteye_protocol.wire import MAX_FRAME_BYTES
from stream import line_name, open_line

_HEADER = "<4sIIHHI"
_HEADER_BYTES = const(20)
_RETRY_MS = const(500)
_LONGEST_PAUSE_MS = const(10)
_QUIET_MS = const(100)


class CameraError(Exception):
    pass


class StreamCamera:
    # config: camera.host and camera.port, or camera.uart; a helper that is silent for
    # camera.timeout_ms is connected to again.
    def __init__(self, config):
        self._config = config
        self._timeout_ms = config["camera.timeout_ms"]
        self._is_uart = config["camera.uart"] is not None
        self._scrap = bytearray(64)
        self._line = None
        self._header = bytearray(_HEADER_BYTES)
        self._storage = bytearray(0)
        self._failing = False
        # of the frame that capture() got; they stay until the next one
        self.buffer = memoryview(self._storage)
        self.id = self.width = self.height = 0
        self.age_ms = 0
        self.tries = 0  # to get a frame; the watchdog wants this to rise

    # Waits for a frame, as long as it takes; buffer, id, width, height and age_ms tell of it.
    async def capture(self):
        while True:
            self.tries += 1
            try:
                if self._line is None:
                    self._line = open_line(self._config, "camera")
                    if self._failing and self._is_uart:
                        await self._wait_for_quiet()
                await self._pull()
                if self._failing:
                    self._failing = False
                    log("camera: frames again")
                return
            except (OSError, CameraError, EOFError) as error:
                self.close()
                if not self._failing:
                    self._failing = True
                    name = line_name(self._config, "camera")
                    log("camera: no frames from %s: %r" % (name, error))
                await asyncio.sleep_ms(_RETRY_MS)

    def close(self):
        if self._line is not None:
            self._line.close()
            self._line = None

    # A UART cannot be hung up: an answer that was given up comes all the same, whole or in part.
    async def _wait_for_quiet(self):
        heard = started = ticks_ms()
        while ticks_diff(ticks_ms(), heard) < _QUIET_MS:
            if self._line.readinto(self._scrap) is None:
                await asyncio.sleep_ms(1)
            else:
                heard = ticks_ms()
                self._check(started)

    async def _pull(self):
        started = ticks_ms()
        if self._is_uart and self._line.readinto(self._scrap) is not None:
            await self._wait_for_quiet()
        await self._ask(started)
        await self._fill(memoryview(self._header), started)
        magic, frame, age_ms, width, height, size = struct.unpack(_HEADER, self._header)
        if magic != b"MEFR" or not 0 < size <= MAX_FRAME_BYTES or size != width * height * 3:
            raise CameraError("not a frame: %s %dx%d, %d bytes" % (magic, width, height, size))
        if size != len(self.buffer):
            if size > len(self._storage):
                self._storage = bytearray(size)
            self.buffer = memoryview(self._storage)[:size]
        await self._fill(self.buffer, started)
        self.id = frame
        self.width = width
        self.height = height
        self.age_ms = age_ms

    # The first write waits for the connection; a socket that is still connecting takes nothing.
    async def _ask(self, started):
        while True:
            try:
                if self._line.write(b"N"):
                    return
            except OSError as error:
                if error.errno not in (11, 107):
                    raise
            self._check(started)
            await asyncio.sleep_ms(2)

    # Deadline inside of the loop, and no task that waits on the socket: nothing to cancel, no byte
    # to lose.
    async def _fill(self, view, started):
        at = 0
        pause_ms = 1
        while at < len(view):
            got = self._line.readinto(view[at:])
            if got is None:
                self._check(started)
                await asyncio.sleep_ms(pause_ms)
                pause_ms = min(pause_ms * 2, _LONGEST_PAUSE_MS)
            elif got == 0:
                raise EOFError
            else:
                at += got
                pause_ms = 1

    def _check(self, started):
        if ticks_diff(ticks_ms(), started) >= self._timeout_ms:
            raise CameraError("silent for %d ms" % self._timeout_ms)

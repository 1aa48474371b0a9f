# The last published pictures, and handing one over in chunks. Only with `frames: true` (T10).
import asyncio
import binascii

from log import log
from moteye_protocol.wire import CHUNK_BYTES

_SLOTS = 4


class _Slot:
    def __init__(self, size):
        self.storage = bytearray(size)
        self.frame = None
        self.at = self.width = self.height = self.size = 0


class FrameRing:
    def __init__(self):
        self._slots = []
        self._next = 0
        self._busy = None

    # Keeps a copy. Buffers are made for the first frame, and again only when frames grow; where
    # memory does not suffice, fewer are kept.
    def keep(self, camera, at):
        size = len(camera.buffer)
        if (not self._slots or len(self._slots[0].storage) < size) and self._busy is None:
            self._allocate(size)
        for _ in self._slots:
            slot = self._slots[self._next]
            self._next = (self._next + 1) % len(self._slots)
            if slot is not self._busy and len(slot.storage) >= size:
                slot.frame = camera.id
                slot.at = at
                slot.width = camera.width
                slot.height = camera.height
                slot.size = size
                slot.storage[:size] = camera.buffer
                return

    def _allocate(self, size):
        self._slots = []
        self._next = 0
        try:
            for _ in range(_SLOTS):
                self._slots.append(_Slot(size))
        except MemoryError:
            if len(self._slots) > 1:
                self._slots.pop()
            log("frames: memory for %d pictures only" % len(self._slots))

    # The code of a reply to `frame.get`; with "ok" send() is to be run.
    def ask(self, frame):
        if self._busy is not None:
            return "busy"
        for slot in self._slots:
            if slot.frame == frame:
                self._busy = slot
                return "ok"
        return "gone"

    # Publishes the picture that was asked for: publish(fields) for each chunk, after `await
    # room()`, so that embeddings keep their place on the line.
    async def send(self, publish, room):
        slot = self._busy
        try:
            view = memoryview(slot.storage)
            crc = binascii.crc32(view[: slot.size])
            total = (slot.size + CHUNK_BYTES - 1) // CHUNK_BYTES
            for index in range(total):
                if not await room():
                    return
                start = index * CHUNK_BYTES
                publish(
                    {
                        "frame": slot.frame,
                        "at": slot.at,
                        "i": index,
                        "total": total,
                        "w": slot.width,
                        "h": slot.height,
                        "format": "rgb888",
                        "crc": crc,
                        "data": view[start : min(start + CHUNK_BYTES, slot.size)],
                    }
                )
                await asyncio.sleep_ms(0)
        finally:
            self._busy = None

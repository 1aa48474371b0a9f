"""The pull server: a device sends `N` and gets the newest frame, over TCP on this machine.

Answer, little-endian: `MEFR`, id u32, age_ms u32 at hand-over, width u16, height u16, bytes u32,
then the pixels, RGB888.
"""

import asyncio
import struct
from types import TracebackType
from typing import Self

import structlog

from moteye.camera.sources import CameraError, Clock, Frame, FrameSource

log = structlog.get_logger("moteye.camera")
HEADER = struct.Struct("<4sIIHHI")
MAGIC = b"MEFR"
ASK = b"N"


class CameraServer:
    """Hands the frames of one source to the devices that ask, each frame at most once to a device.

    An answer waits until a frame is due that this connection has not had. When the source has
    ended, it waits for ever. A device that does not read holds up only itself.
    """

    def __init__(self, source: FrameSource, *, clock: Clock | None = None) -> None:
        self._source = source
        self._clock = clock or Clock()
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        serving = list(self._serving)
        self._serving.clear()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await self._server.wait_closed()
        await self._source.aclose()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        after = -1
        try:
            while await reader.read(1) == ASK:
                frame = await self._next(reader, after)
                if frame is None:
                    return
                after = frame.id
                writer.write(header(frame, self._clock.now()))
                writer.write(frame.rgb.tobytes())
                await writer.drain()
        except asyncio.CancelledError:
            if task in self._serving:
                raise  # not by __aexit__, which waits for a quiet end
        except OSError:
            pass  # the device went away; it comes back by itself
        except CameraError as error:
            log.error("camera failed", reason=str(error))
        finally:
            writer.transport.abort()
            self._serving.discard(task)

    async def _next(self, reader: asyncio.StreamReader, after: int) -> Frame | None:
        """Return a frame newer than `after`; None when the device has gone meanwhile."""
        frame = await self._source.next_frame(after)
        if frame is None:
            await reader.read(1)
        return frame


def header(frame: Frame, now_s: float) -> bytes:
    """Return the 20 bytes before the pixels."""
    height, width, _ = frame.rgb.shape
    age_ms = max(0, min(0xFFFFFFFF, round((now_s - frame.captured_at_s) * 1000)))
    return HEADER.pack(MAGIC, frame.id & 0xFFFFFFFF, age_ms, width, height, width * height * 3)

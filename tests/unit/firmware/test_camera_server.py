"""The pull server: header, pixels, waiting for a due frame, several devices, backpressure."""

import asyncio
import contextlib
import struct

import numpy as np
from moteye.camera.server import CameraServer, header
from moteye.camera.sources import Clock, Frame

HEADER = struct.Struct("<4sIIHHI")


class Pushed:
    """A source whose frames a test pushes."""

    def __init__(self):
        self.frames = []
        self.pushed = asyncio.Event()
        self.closed = False
        self.ended = False

    def push(self, number, size=(8, 6)):
        width, height = size
        self.frames.append(Frame(number, 10.0, np.full((height, width, 3), number, np.uint8)))
        self.pushed.set()

    async def next_frame(self, after):
        while not self.frames or self.frames[-1].id <= after:
            if self.ended:
                return None
            self.pushed.clear()
            await self.pushed.wait()
        return self.frames[-1]

    async def aclose(self):
        self.closed = True


@contextlib.asynccontextmanager
async def serving(source, now_s=10.25):
    async with CameraServer(source, clock=Clock(now=lambda: now_s)) as server:
        yield server


async def ask(reader, writer):
    writer.write(b"N")
    found = HEADER.unpack(await reader.readexactly(HEADER.size))
    return found, await reader.readexactly(found[-1])


async def test_frame_has_header_and_pixels():
    source = Pushed()
    source.push(5)
    async with serving(source) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        found, pixels = await ask(reader, writer)
        writer.close()
    assert found == (b"MEFR", 5, 250, 8, 6, 144)
    assert pixels == bytes([5]) * 144
    assert source.closed


async def test_answer_waits_for_a_new_frame_and_is_the_latest():
    source = Pushed()
    source.push(1)
    async with serving(source) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await ask(reader, writer)
        waiting = asyncio.create_task(ask(reader, writer))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        source.frames.append(Frame(2, 10.0, np.zeros((6, 8, 3), np.uint8)))
        source.push(3)
        found, _ = await asyncio.wait_for(waiting, 5)
        writer.close()
    assert found[1] == 3


async def test_devices_do_not_take_frames_from_each_other():
    source = Pushed()
    source.push(1)
    async with serving(source) as server:
        pairs = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
        answers = await asyncio.gather(*(ask(*pair) for pair in pairs))
        for _, writer in pairs:
            writer.close()
    assert [found[1] for found, _ in answers] == [1, 1, 1]


async def test_device_that_does_not_read_holds_up_only_itself():
    source = Pushed()
    source.push(1, size=(640, 480))
    async with serving(source) as server:
        _, deaf = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        deaf.write(b"N" * 50)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for number in range(2, 30):
            source.push(number, size=(640, 480))
            found, _ = await asyncio.wait_for(ask(reader, writer), 5)
            assert found[1] == number
        deaf.close()
        writer.close()


async def test_nonsense_closes_the_connection():
    async with serving(Pushed()) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_ended_source_keeps_the_device_waiting():
    source = Pushed()
    source.ended = True
    async with serving(source) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"N")
        done, _ = await asyncio.wait([asyncio.create_task(reader.read(1))], timeout=0.05)
        assert not done
        writer.close()


def test_age_is_never_negative():
    frame = Frame(1, 20.0, np.zeros((1, 1, 3), np.uint8))
    assert HEADER.unpack(header(frame, 19.0))[2] == 0

"""Video files, webcams and network cameras, through PyAV (extra `camera`)."""

import asyncio
import contextlib
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

from PIL import Image

from moteye.camera.sources import CameraError, Clock, Frame, Size, UInt8, fit

REOPEN_S = 2.0


def _import_av() -> Any:
    try:
        import av
    except ImportError:
        raise CameraError(
            "video files, webcams and network cameras need the extra `camera`: "
            "pip install 'moteye[camera]'"
        ) from None
    return av


def _fitted(picture: Any, size: Size) -> UInt8:
    return fit(Image.fromarray(picture.to_ndarray(format="rgb24")), size)


class VideoFile:
    """A video at its own speed; starts again at the end."""

    def __init__(self, path: Path, *, clock: Clock, size: Size) -> None:
        self._av = _import_av()
        try:
            self._av.open(str(path)).close()
        except self._av.error.FFmpegError as error:
            raise CameraError(f"{path}: not a video that can be read ({error})") from error
        self._path = path
        self._clock = clock
        self._size = size
        self._lock = asyncio.Lock()
        self._pictures = self._decode()
        self._start_s = clock.now()
        self._last: Frame | None = None

    def _decode(self) -> Generator[tuple[float, Any], None, None]:
        """Yield every picture with the second it is due at, for ever."""
        offset_s = 0.0
        while True:
            end_s = offset_s
            try:
                with self._av.open(str(self._path)) as container:
                    for picture in container.decode(video=0):
                        end_s = offset_s + float(picture.time or 0.0)
                        yield end_s, picture
            except self._av.error.FFmpegError as error:
                raise CameraError(
                    f"{self._path}: not a video that can be read ({error})"
                ) from error
            if end_s == offset_s:
                raise CameraError(f"{self._path}: a video without pictures")
            offset_s = end_s + 0.04

    def _advance(self, elapsed_s: float) -> tuple[float, UInt8]:
        """Return the first picture due at or after `elapsed_s`."""
        for due_s, picture in self._pictures:
            if due_s >= elapsed_s:
                return due_s, _fitted(picture, self._size)
        raise CameraError(f"{self._path}: could not be read to the end")

    async def next_frame(self, after: int) -> Frame | None:
        """Return the picture that is due, waiting for it."""
        async with self._lock:
            if self._last is not None and self._last.id > after:
                return self._last
            elapsed_s = self._clock.now() - self._start_s
            due_s, rgb = await asyncio.to_thread(self._advance, elapsed_s)
            wait_s = self._start_s + due_s - self._clock.now()
            if wait_s > 0:
                await self._clock.sleep(wait_s)
            number = self._last.id + 1 if self._last else 0
            self._last = Frame(number, self._start_s + due_s, rgb)
            return self._last

    async def aclose(self) -> None:
        """Close the file."""
        with contextlib.suppress(ValueError):  # a thread still decodes; it ends with this picture
            self._pictures.close()


class LiveSource:
    """A camera that runs by itself: a thread keeps its newest picture, and opens it again."""

    def __init__(self, camera: str | int, *, clock: Clock, size: Size) -> None:
        self._av = _import_av()
        self._camera = camera
        self._clock = clock
        self._size = size
        self._newest: Frame | None = None
        self._fresh = asyncio.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def _open(self) -> Any:
        if isinstance(self._camera, str):
            return self._av.open(self._camera, options={"rtsp_transport": "tcp"}, timeout=10.0)
        if sys.platform == "darwin":
            return self._av.open(str(self._camera), format="avfoundation", timeout=10.0)
        if sys.platform == "win32":
            return self._av.open(f"video={self._camera}", format="dshow", timeout=10.0)
        return self._av.open(f"/dev/video{self._camera}", format="v4l2", timeout=10.0)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        number = 0
        while not self._stopping.is_set():
            with contextlib.suppress(self._av.error.FFmpegError), self._open() as container:
                for picture in container.decode(video=0):
                    if self._stopping.is_set():
                        return
                    frame = Frame(number, self._clock.now(), _fitted(picture, self._size))
                    number += 1
                    with contextlib.suppress(RuntimeError):  # the loop is closed
                        loop.call_soon_threadsafe(self._take, frame)
            self._stopping.wait(REOPEN_S)

    def _take(self, frame: Frame) -> None:
        self._newest = frame
        self._fresh.set()

    async def next_frame(self, after: int) -> Frame | None:
        """Return the newest picture, or wait for one after `after`."""
        if self._thread is None:
            loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._run, args=(loop,), daemon=True)
            self._thread.start()
        while self._newest is None or self._newest.id <= after:
            self._fresh.clear()
            await self._fresh.wait()
        return self._newest

    async def aclose(self) -> None:
        """Tell the thread to end; it does with its next picture."""
        self._stopping.set()

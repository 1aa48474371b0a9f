"""Where frames come from: photos, a scripted scene, a video, a webcam, a network camera.

A source answers one question, `next_frame(after)`. The clock is passed in: a test can turn it.
"""

import asyncio
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from moteye.errors import ConfigError

UInt8 = npt.NDArray[np.uint8]
Size = tuple[int, int]
DEFAULT_SIZE: Size = (320, 240)
PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


class CameraError(ConfigError):
    """A camera, scene or photo that cannot be used; the text says which and what was expected."""


@dataclass(frozen=True)
class Frame:
    """One picture, uint8[H, W, 3]. `id` counts up; `captured_at_s` is on the source's clock."""

    id: int
    captured_at_s: float
    rgb: UInt8


@dataclass(frozen=True)
class Clock:
    """Seconds that only go forward, and a way to wait for some."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class FrameSource(Protocol):
    """Frames in the order of their ids, skipping those that nobody asked for in time."""

    async def next_frame(self, after: int) -> Frame | None:
        """Return the latest frame with an id above `after`, waiting for it; None after the end."""

    async def aclose(self) -> None:
        """Release files and devices."""


class TimedSource(ABC):
    """A source whose picture is a function of the time since it was made, `fps` times a second."""

    def __init__(self, *, clock: Clock, fps: float) -> None:
        self._clock = clock
        self._fps = fps
        self._start_s = clock.now()

    @abstractmethod
    def render(self, index: int, elapsed_s: float) -> UInt8 | None:
        """Return the picture shown at `elapsed_s`, uint8[H, W, 3]; None after the end."""

    async def next_frame(self, after: int) -> Frame | None:
        """Return the frame that is due now, or the first one after `after`."""
        due = math.floor((self._clock.now() - self._start_s) * self._fps + 1e-6)
        index = max(after + 1, due)
        at_s = self._start_s + index / self._fps
        wait_s = at_s - self._clock.now()
        if wait_s > 0:
            await self._clock.sleep(wait_s)
        rgb = self.render(index, index / self._fps)
        return None if rgb is None else Frame(index, at_s, rgb)

    async def aclose(self) -> None:  # noqa: B027  a source may have nothing to close
        """Nothing is held."""


class PhotoFolder(TimedSource):
    """The photos of a folder by name, each for `seconds`; then again, or the end."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock,
        size: Size = DEFAULT_SIZE,
        seconds: float = 5.0,
        loop: bool = True,
        fps: float = 10.0,
    ) -> None:
        super().__init__(clock=clock, fps=fps)
        if not folder.is_dir():
            raise CameraError(f"{folder}: expected a folder with photos")
        self._paths = sorted(
            path for path in folder.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES
        )
        if not self._paths:
            raise CameraError(f"{folder}: no photos here ({', '.join(sorted(PHOTO_SUFFIXES))})")
        self._size = size
        self._seconds = seconds
        self._loop = loop
        self._shown: tuple[int, UInt8] | None = None

    def render(self, index: int, elapsed_s: float) -> UInt8 | None:
        """Return the photo of this moment."""
        number = int(elapsed_s / self._seconds)
        if number >= len(self._paths) and not self._loop:
            return None
        number %= len(self._paths)
        if self._shown is None or self._shown[0] != number:
            self._shown = number, fit(read_photo(self._paths[number]), self._size)
        return self._shown[1]


class Resized:
    """Another source's frames, cut and resized to `size`: for a device with little memory."""

    def __init__(self, source: FrameSource, size: Size) -> None:
        self._source = source
        self._size = size

    async def next_frame(self, after: int) -> Frame | None:
        """Return the other source's next frame in this size."""
        frame = await self._source.next_frame(after)
        if frame is None or frame.rgb.shape[1::-1] == self._size:
            return frame
        return replace(frame, rgb=fit(Image.fromarray(frame.rgb), self._size))

    async def aclose(self) -> None:
        """Close the other source."""
        await self._source.aclose()


def read_photo(path: Path) -> Image.Image:
    """Return the picture in a file, upright, RGB. Raises CameraError, which names the file."""
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except FileNotFoundError:
        raise CameraError(f"{path}: no such photo") from None
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise CameraError(f"{path}: not a picture that can be read ({error})") from error


def fit(image: Image.Image, size: Size) -> UInt8:
    """Cut the middle out in the shape of `size` = (width, height), then resize to it."""
    return np.asarray(ImageOps.fit(image, size, Image.Resampling.BICUBIC), np.uint8)

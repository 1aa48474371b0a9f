"""What the tests on emulated boards share."""

import asyncio
import time
from pathlib import Path

import numpy as np
from moteye.camera.emulate import SMALL_SIZE, EmulatedDevice
from moteye.camera.process import DeviceProcess
from moteye.camera.simulate import SimulatedDevice
from moteye.camera.sources import Frame, fit, read_photo
from PIL import Image
from support.live import skimage_photo, sklearn_photo

SKIMAGE = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "horse.png", "page.png")
SKLEARN = ("flower.jpg", "china.jpg")


class Album:
    """Each picture once, in order, one for each that a device asks for; none before `opened`.

    None behind the number of the latest `allow` either.
    """

    def __init__(self, pictures: list[np.ndarray]) -> None:
        self.opened = asyncio.Event()
        self._allowed = asyncio.Event()
        self._last = len(pictures)
        self._pictures = pictures

    def allow(self, last: int) -> None:
        self._last = last
        self._allowed.set()
        self._allowed = asyncio.Event()

    async def allowed(self, number: int) -> None:
        while number > self._last:
            await self._allowed.wait()

    async def next_frame(self, after: int) -> Frame | None:
        await self.opened.wait()
        number = after + 1
        if number >= len(self._pictures):
            return None
        await self.allowed(number)
        return Frame(number, time.monotonic(), self._pictures[number])

    async def aclose(self) -> None:
        """Nothing is held."""


def photos(count: int) -> list[np.ndarray]:
    """Crops of the photos that scikit-image and scikit-learn carry, uint8[96, 128, 3] each."""
    files = [skimage_photo(name) for name in SKIMAGE] + [sklearn_photo(name) for name in SKLEARN]
    found = []
    for number in range(count):
        image = read_photo(files[number % len(files)])
        crop = number // len(files)  # the middle, then corners
        width, height = image.size
        box = (
            (0, 0, width, height),
            (0, 0, width // 2, height // 2),
            (width // 2, height // 3, width, height),
        )[crop]
        found.append(fit(image.crop(box), SMALL_SIZE))
    return found


def make_device(port: str, broker_port: int, camera, data_dir: Path, **options) -> DeviceProcess:
    """A device on this machine (`unix`) or on an emulated board."""
    options = {
        "device_id": port,
        "broker_host": "127.0.0.1",
        "broker_port": broker_port,
        "camera_spec": camera,
        "data_dir": data_dir,
        **options,
    }
    return SimulatedDevice(**options) if port == "unix" else EmulatedDevice(port, **options)


def grey(level: int = 128) -> np.ndarray:
    return np.asarray(Image.new("RGB", SMALL_SIZE, (level, level, level)), np.uint8)

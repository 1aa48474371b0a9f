"""The picture that decided: as a file where a policy says (`save`), or held for others (`capture`).

A device hands a picture over only where its owner wrote `frames: true`.
"""

import asyncio
import contextlib
import io
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from moteye.actions.alert import Alert
from moteye.core.language import SaveAction
from moteye.errors import ActionError, DeviceRefused, MoteyeError

GetPicture = Callable[[str, int], Awaitable[npt.NDArray[np.uint8]]]


class Pictures:
    """Fetches and writes pictures. `folder` holds those of `capture`, at most `most_bytes`."""

    def __init__(self, picture: GetPicture, folder: Path, most_bytes: int) -> None:
        self._picture = picture
        self._folder = folder
        self._most_bytes = most_bytes

    async def save(self, alert: Alert, action: SaveAction) -> Alert:
        """The alert with its picture's path. Raises ActionError."""
        return await self._write(alert, Path(alert.render_name(action.dir)).expanduser())

    async def capture(self, alert: Alert) -> Alert:
        """The alert with its picture's path in the agent's own folder. Raises ActionError."""
        found = await self._write(alert, self._folder)
        await asyncio.to_thread(self._make_room)
        return found

    async def _write(self, alert: Alert, folder: Path) -> Alert:
        try:
            pixels = await self._picture(alert.camera, alert.frame)
            path = await asyncio.to_thread(_write_picture, folder, alert, pixels)
        except (MoteyeError, OSError) as error:
            forbidden = isinstance(error, DeviceRefused)
            text = f"picture of frame {alert.frame}: {error}"
            raise ActionError(text, permanent=forbidden) from error
        return alert.with_picture(str(path))

    def _make_room(self) -> None:
        """Delete the oldest pictures beyond the limit."""
        files = sorted(self._folder.glob("*.png"), key=lambda file: file.name, reverse=True)
        total = 0
        for file in files:
            with contextlib.suppress(OSError):
                total += file.stat().st_size
                if total > self._most_bytes:
                    file.unlink()


def _write_picture(folder: Path, alert: Alert, pixels: npt.NDArray[np.uint8]) -> Path:
    """Write beside, then rename: a picture file is whole or not there."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = alert.time[:19].replace(":", "-")
    path = (folder / f"{stamp}-{alert.policy}-{alert.camera}-{alert.id[:6]}.png").resolve()
    partial = path.with_suffix(".part")
    partial.write_bytes(png_of(pixels))
    partial.replace(path)
    return path


def png_of(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Pixels uint8[H, W, 3] or uint8[H, W] as a PNG file."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format="PNG")
    return data.getvalue()

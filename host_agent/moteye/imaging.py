"""The host's twin of the device's eye: the same preparation and the same encoder, byte for byte."""

from math import isqrt
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from moteye_protocol import wire
from PIL import Image, UnidentifiedImageError

from moteye.errors import MoteyeError

UInt8 = npt.NDArray[np.uint8]


class ImageError(MoteyeError):
    """A picture that cannot be read; the text names the file."""


def load_rgb(path: Path) -> UInt8:
    """The picture in a file as uint8[H, W, 3]."""
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise ImageError(f"{path}: not a picture that can be read ({error})") from error


def box_resize(rgb: UInt8, width: int, height: int) -> UInt8:
    """uint8[H, W, 3] → uint8[height, width, 3], the rounded mean of each box.

    The twin of `device/kernels/box_resize.c`.
    """
    rows = _boxes(rgb.shape[0], height)
    columns = _boxes(rgb.shape[1], width)
    total = np.zeros((rgb.shape[0] + 1, rgb.shape[1] + 1, 3), np.int64)
    total[1:, 1:] = rgb.astype(np.int64).cumsum(axis=0).cumsum(axis=1)
    (top, bottom), (left, right) = rows, columns
    sums = (
        total[bottom][:, right]
        - total[top][:, right]
        - total[bottom][:, left]
        + total[top][:, left]
    )
    counts = ((bottom - top)[:, None] * (right - left)[None, :])[..., None]
    return np.asarray((sums + counts // 2) // counts, np.uint8)


def _boxes(source: int, target: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    start = np.arange(target) * source // target
    end = np.maximum((np.arange(target) + 1) * source // target, start + 1)
    return start, end


class ImageEncoder:
    """The shipped encoder run by the TFLite reference kernels, which the device's kernels equal."""

    def __init__(self, tflite: Path) -> None:
        self._interpreter = Interpreter(
            model_path=str(tflite), experimental_op_resolver_type=OpResolverType.BUILTIN_REF
        )
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def encode(self, rgb: UInt8) -> npt.NDArray[np.int8]:
        """A picture of any size → int8[256]."""
        return self.look(rgb)[0]

    def look(self, rgb: UInt8) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8] | None]:
        """A picture of any size → int8[256], and cells int8[side, side, 69] where it has any."""
        _, height, width, _ = self._input["shape"]
        small = box_resize(rgb, int(width), int(height))
        centred = (small.astype(np.int16) - 128).astype(np.int8)
        self._interpreter.set_tensor(self._input["index"], centred[None])
        self._interpreter.invoke()
        out = np.array(self._interpreter.get_tensor(self._output)[0], np.int8)
        dim = wire.SET_DIMS[-1]
        side = isqrt((out.size - dim) // wire.CELL_BYTES) if out.size > dim else 0
        cells = out[dim:].reshape(side, side, wire.CELL_BYTES) if side else None
        return out[:dim], cells

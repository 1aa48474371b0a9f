"""What the C must equal: LiteRT's reference kernels, and NumPy for what is ours."""

import math

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter, OpResolverType

Int8 = npt.NDArray[np.int8]
Quant = tuple[float, int]


class Reference:
    """A `.tflite` model under BUILTIN_REF: no delegate, no optimised kernel.

    int8 in and out: a uint8 model sees and gives 128 more, a float one what int8 stands for, by
    `ends`, the (scale, zero point) of input and output.
    """

    def __init__(self, tflite: bytes, ends: tuple[Quant, Quant] | None = None) -> None:
        self._ends = ends
        resolver = OpResolverType.BUILTIN_REF
        self._interpreter = Interpreter(
            model_content=tflite, experimental_op_resolver_type=resolver, num_threads=1
        )
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]
        self.shape = tuple(int(side) for side in self._input["shape"])

    def run(self, values: Int8) -> Int8:
        self._interpreter.set_tensor(self._input["index"], self._given(values))
        self._interpreter.invoke()
        return self._taken(self._interpreter.get_tensor(self._output["index"]).reshape(-1))

    def _given(self, values: Int8) -> npt.NDArray[np.generic]:
        values = values.reshape(self.shape)
        if self._input["dtype"] is np.float32:
            scale, zero_point = self._ends[0]
            return (values.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
        return values.view(np.uint8) ^ 0x80 if self._input["dtype"] is np.uint8 else values

    def _taken(self, found: npt.NDArray[np.generic]) -> Int8:
        if self._output["dtype"] is np.float32:
            scale, zero_point = self._ends[1]
            whole = np.rint(found / np.float32(scale)) + zero_point
            # Each value is one that int8 stands for, to the bit.
            assert np.array_equal(
                (whole - zero_point).astype(np.float32) * np.float32(scale), found
            )
            return whole.astype(np.int8)
        return (found ^ 0x80).view(np.int8) if self._output["dtype"] is np.uint8 else found


def _spans(size: int, target: int) -> list[tuple[int, int]]:
    spans = []
    for i in range(target):
        first = i * size // target
        spans.append((first, max((i + 1) * size // target, first + 1)))
    return spans


def box_resize(image: npt.NDArray[np.uint8], width: int, height: int) -> npt.NDArray[np.uint8]:
    """uint8[h, w, 3] to uint8[height, width, 3]: the mean of each box, rounded half up."""
    columns = np.stack(
        [image[:, a:b].sum(1, dtype=np.int64) for a, b in _spans(image.shape[1], width)], 1
    )
    sums = np.stack([columns[a:b].sum(0) for a, b in _spans(image.shape[0], height)])
    column_counts = np.array([b - a for a, b in _spans(image.shape[1], width)])
    row_counts = np.array([b - a for a, b in _spans(image.shape[0], height)])
    n = (row_counts[:, None] * column_counts[None, :])[..., None]
    return ((sums + n // 2) // n).astype(np.uint8)


def box_resize_rgb565(
    pixels: npt.NDArray[np.uint16], width: int, height: int
) -> npt.NDArray[np.uint8]:
    """uint16[h, w] to uint8[height, width, 3]: box means of 5, 6, 5 bits, scaled, half up."""
    fields = np.stack([pixels >> 11, pixels >> 5 & 63, pixels & 31], -1).astype(np.int64)
    out = np.zeros((height, width, 3), np.uint8)
    largest = np.array([31, 63, 31])
    for y, (top, bottom) in enumerate(_spans(pixels.shape[0], height)):
        for x, (left, right) in enumerate(_spans(pixels.shape[1], width)):
            box = fields[top:bottom, left:right].reshape(-1, 3)
            whole = len(box) * largest
            out[y, x] = (box.sum(0) * 255 + whole // 2) // whole
    return out


def similarity_q8(a: Int8, b: Int8, dim: int) -> int:
    x, y = (v[:dim].astype(np.int64).tolist() for v in (a, b))
    norms = math.isqrt(sum(v * v for v in x)) * math.isqrt(sum(v * v for v in y))
    if norms == 0:
        return 0
    cosine = sum(p * q for p, q in zip(x, y, strict=True)) * 256 // norms
    return min(max(cosine, -256), 256)


def prob_q8(margin_q8: int) -> int:
    i = min(max(margin_q8 >> 4, -128), 127)
    return math.floor(255 / (1 + math.exp(-(i + 0.5) / 16)) + 0.5)

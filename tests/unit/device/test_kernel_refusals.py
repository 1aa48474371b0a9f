"""Each kernel by itself: what it cannot run is refused, and its output left as it was."""

import ctypes
import struct

import numpy as np
import pytest
from kernel_library import KernelError, Kernels, pointer

SHAPE, QUANT = "bad shape", "bad quantisation"
WINDOW = "<14H4hHh"
# in 4x4x2, out 4x4x2, kernel 1x1, stride 1, dilation 1, no padding, zero points, limits,
# multiplier, the filter's zero point
CONV = [4, 4, 2, 4, 4, 2, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, -128, 127, 0, 0]
DEPTHWISE = [*CONV[:18], 1, 0]
FULLY = [1, 32, 2, 0, 0, -128, 127, 0, 0]
ADD = [32, 1 << 30, 1 << 30, 1 << 30, 0, 0, 0, 20, 0, 0, 0, -128, 127, 0, 0, 0]
PAD = [2, 2, 2, 4, 4, 2, 1, 1, 0, 0]
MEAN = [1, 16, 2, 1 << 30, -3, 0, 0, 0]
COPY = [1, 4, 4, 2, 32, 2, 8, 1, 32, 8, 2, 1, 0, 0]
ARITHMETIC = [1, 1, 1, 32, 1 << 30, 1 << 30, 1 << 30, 0, 0, 0, 20, 0, 0, 0, -128, 127, 0, 0, 0, 0]
SOFTMAX = [2, 16, 1 << 30, 20, -100, 0]
LAYOUTS = {
    "conv_2d_s8": WINDOW,
    "depthwise_conv_2d_s8": WINDOW,
    "average_pool_2d_s8": WINDOW,
    "max_pool_2d_s8": WINDOW,
    "fully_connected_s8": "<3I5hH",
    "add_s8": "<I3i4h3h2h3H",
    "pad_s8": "<9Hh",
    "mean_s8": "<3IihbbI",
    "copy_s8": "<4I8i2I",
    "arithmetic_s8": "<4H3i4h5hBBHH",
    "softmax_s8": "<2IiiiI",
}
WEIGHTED = {"conv_2d_s8", "depthwise_conv_2d_s8", "fully_connected_s8"}


class Quant(ctypes.Structure):
    """channel_quant_t."""

    _fields_ = [("bias", ctypes.c_void_p), ("mult", ctypes.c_void_p), ("shift", ctypes.c_void_p)]


def call(kernels: Kernels, name: str, fields: list[int], out: np.ndarray, shift: int = -3) -> None:
    """The kernel on 32 input values, with a struct of `fields`."""
    shape = np.frombuffer(struct.pack(LAYOUTS[name], *fields), np.uint8).copy()
    values, filters = np.arange(32, dtype=np.int8), np.ones(64, np.int8)
    constants = np.zeros(2, np.int32), np.full(2, 1 << 30, np.int32), np.full(2, shift, np.int8)
    quant = Quant(*(array.ctypes.data for array in constants))
    arguments = [pointer(shape), pointer(values)]
    if name in WEIGHTED:
        arguments += [pointer(filters), ctypes.byref(quant)]
    if name in ("add_s8", "arithmetic_s8"):
        arguments.append(pointer(values))
    kernels.check(getattr(kernels.c, name)(*arguments, pointer(out)))


GOOD = {
    "conv_2d_s8": CONV,
    "depthwise_conv_2d_s8": DEPTHWISE,
    "average_pool_2d_s8": CONV,
    "max_pool_2d_s8": CONV,
    "fully_connected_s8": FULLY,
    "add_s8": ADD,
    "pad_s8": PAD,
    "mean_s8": MEAN,
    "copy_s8": COPY,
    "arithmetic_s8": ARITHMETIC,
    "softmax_s8": SOFTMAX,
}
BAD = [
    *(("conv_2d_s8", place, 0, SHAPE) for place in range(12)),
    ("conv_2d_s8", 6, 65535, SHAPE),
    ("conv_2d_s8", 14, 128, QUANT),
    ("conv_2d_s8", 15, -129, QUANT),
    ("conv_2d_s8", 16, 128, QUANT),
    ("conv_2d_s8", 17, -129, QUANT),
    ("conv_2d_s8", 18, 1, SHAPE),
    ("conv_2d_s8", 19, 128, QUANT),
    ("average_pool_2d_s8", 19, 2, SHAPE),
    ("max_pool_2d_s8", 19, 1, SHAPE),
    ("depthwise_conv_2d_s8", 18, 0, SHAPE),
    ("depthwise_conv_2d_s8", 18, 2, SHAPE),
    ("average_pool_2d_s8", 5, 1, SHAPE),
    ("average_pool_2d_s8", 12, 1, SHAPE),
    ("max_pool_2d_s8", 3, 5, SHAPE),
    ("max_pool_2d_s8", 10, 2, SHAPE),
    *(("fully_connected_s8", place, value, SHAPE) for place in range(3) for value in (0, 65536)),
    ("fully_connected_s8", 3, 128, QUANT),
    ("fully_connected_s8", 7, -129, QUANT),
    ("fully_connected_s8", 8, 1, SHAPE),
    ("add_s8", 0, 0, SHAPE),
    ("add_s8", 1, -(1 << 31), QUANT),
    ("add_s8", 4, 1, QUANT),
    ("add_s8", 6, -32, QUANT),
    ("add_s8", 7, 21, QUANT),
    ("add_s8", 7, -1, QUANT),
    *(("pad_s8", place, 0, SHAPE) for place in range(6)),
    ("pad_s8", 6, 3, SHAPE),
    ("pad_s8", 9, 128, SHAPE),
    *(("mean_s8", place, 0, SHAPE) for place in range(3)),
    ("mean_s8", 1, (1 << 23) + 1, SHAPE),
    ("mean_s8", 4, 31, QUANT),
    ("mean_s8", 4, -32, QUANT),
    *(("copy_s8", place, value, SHAPE) for place in range(4) for value in (0, (1 << 24) + 1)),
    ("copy_s8", 5, -2, SHAPE),
    ("copy_s8", 11, -1, SHAPE),
    *(("arithmetic_s8", place, 0, SHAPE) for place in range(4)),
    ("arithmetic_s8", 7, 1, QUANT),
    ("arithmetic_s8", 10, 21, QUANT),
    ("arithmetic_s8", 11, 128, QUANT),
    ("arithmetic_s8", 15, -129, QUANT),
    ("arithmetic_s8", 16, 3, SHAPE),
    ("arithmetic_s8", 18, 3, SHAPE),
    ("arithmetic_s8", 19, 1, SHAPE),
    ("softmax_s8", 0, 0, SHAPE),
    ("softmax_s8", 1, 2049, SHAPE),
    ("softmax_s8", 2, -1, QUANT),
    ("softmax_s8", 3, 32, QUANT),
    ("softmax_s8", 4, 1, QUANT),
    ("softmax_s8", 4, -2000, QUANT),
]


@pytest.mark.parametrize("name", GOOD)
def test_good_arguments_run(kernels: Kernels, name: str) -> None:
    call(kernels, name, GOOD[name], np.zeros(64, np.int8))


@pytest.mark.parametrize(("name", "place", "value", "reason"), BAD)
def test_bad_field_is_refused(
    kernels: Kernels, name: str, place: int, value: int, reason: str
) -> None:
    fields = list(GOOD[name])
    fields[place] = value
    out = np.full(64, 85, np.int8)
    with pytest.raises(KernelError, match=f"^{reason}$"):
        call(kernels, name, fields, out)
    assert np.all(out == 85)


@pytest.mark.parametrize("name", sorted(WEIGHTED))
@pytest.mark.parametrize("shift", [31, -32])
def test_bad_channel_shift_is_refused(kernels: Kernels, name: str, shift: int) -> None:
    out = np.full(64, 85, np.int8)
    with pytest.raises(KernelError, match=QUANT):
        call(kernels, name, GOOD[name], out, shift)
    assert np.all(out == 85)


def test_every_status_has_words(kernels: Kernels) -> None:
    texts = [kernels.c.status_text(status).decode() for status in range(-17, 1)]
    assert len(set(texts)) == 18
    assert "unknown error" not in texts
    assert kernels.c.status_text(-99) == b"unknown error"

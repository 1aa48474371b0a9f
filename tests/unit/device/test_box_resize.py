"""box_resize against its definition in NumPy."""

import numpy as np
import pytest
from kernel_library import KernelError, Kernels, pointer
from reference import box_resize, box_resize_rgb565

SIZES = [(1, 1), (2, 3), (7, 5), (96, 96), (97, 95), (160, 120), (191, 193), (320, 240), (641, 13)]


def resize(kernels: Kernels, image: np.ndarray, width: int, height: int) -> np.ndarray:
    out = np.zeros((height, width, 3), np.uint8)
    h, w = image.shape[:2]
    channels = image.shape[2] if image.ndim == 3 else 1
    kernels.check(kernels.c.box_resize(pointer(image), channels, w, h, pointer(out), width, height))
    return out


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("target", [(96, 96), (1, 1), (13, 31)])
def test_box_resize_equals_definition(
    kernels: Kernels, size: tuple[int, int], target: tuple[int, int]
) -> None:
    rng = np.random.default_rng(size[0] * 1000 + size[1])
    image = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize(kernels, image, *target), box_resize(image, *target))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("target", [(96, 96), (1, 1), (13, 31)])
def test_box_resize_of_grey_equals_its_rgb888(
    kernels: Kernels, size: tuple[int, int], target: tuple[int, int]
) -> None:
    rng = np.random.default_rng(size[0] * 1000 + size[1])
    grey = rng.integers(0, 256, (size[1], size[0]), dtype=np.uint8)
    wide = np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))
    np.testing.assert_array_equal(resize(kernels, grey, *target), box_resize(wide, *target))


def test_box_resize_same_size_copies(kernels: Kernels) -> None:
    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize(kernels, image, 96, 96), image)


def test_box_resize_white_stays_white_in_a_large_box(kernels: Kernels) -> None:
    image = np.full((2000, 3000, 3), 255, np.uint8)
    assert np.all(resize(kernels, image, 1, 1) == 255)


@pytest.mark.parametrize(
    "sides",
    [
        (0, 1, 1, 1),
        (1, 0, 1, 1),
        (1, 1, 0, 1),
        (1, 1, 1, 0),
        (65536, 1, 1, 1),
        (65535, 65535, 1, 1),
    ],
)
def test_box_resize_bad_side_is_refused(kernels: Kernels, sides: tuple[int, int, int, int]) -> None:
    out = np.full(3, 7, np.uint8)
    width, height, dst_width, dst_height = sides
    with pytest.raises(KernelError, match="bad shape"):
        kernels.check(
            kernels.c.box_resize(
                pointer(out), 3, width, height, pointer(out), dst_width, dst_height
            )
        )
    assert np.all(out == 7)


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_box_resize_other_channels_are_refused(kernels: Kernels, channels: int) -> None:
    out = np.full(4, 7, np.uint8)
    with pytest.raises(KernelError, match="bad shape"):
        kernels.check(kernels.c.box_resize(pointer(out), channels, 1, 1, pointer(out), 1, 1))
    assert np.all(out == 7)


def _fits_rgb565(size: tuple[int, int], target: tuple[int, int]) -> bool:
    """Whether a box stays within what RGB565 sums hold; beyond it the kernel refuses, see below."""
    return (size[0] // target[0] + 1) * (size[1] // target[1] + 1) <= 65535


RGB565_CASES = [
    (size, target)
    for size in (*SIZES, (700, 300))
    for target in ((96, 96), (1, 1), (13, 31))
    if _fits_rgb565(size, target)
]


@pytest.mark.parametrize(("size", "target"), RGB565_CASES)
def test_box_resize_rgb565_equals_definition(
    kernels: Kernels, size: tuple[int, int], target: tuple[int, int]
) -> None:
    rng = np.random.default_rng(size[0] * 1000 + size[1])
    pixels = rng.integers(0, 65536, (size[1], size[0]), dtype=np.uint16)
    out = np.zeros((target[1], target[0], 3), np.uint8)
    kernels.check(
        kernels.c.box_resize_rgb565(pointer(pixels), *size, pointer(out), target[0], target[1])
    )
    np.testing.assert_array_equal(out, box_resize_rgb565(pixels, *target))


def test_box_resize_rgb565_black_and_white_are_kept(kernels: Kernels) -> None:
    for value, byte in ((0, 0), (0xFFFF, 255)):
        pixels = np.full((240, 320), value, np.uint16)
        out = np.full((96, 96, 3), 7, np.uint8)
        kernels.check(kernels.c.box_resize_rgb565(pointer(pixels), 320, 240, pointer(out), 96, 96))
        assert np.all(out == byte)


@pytest.mark.parametrize("sides", [(0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (256, 256, 1, 1)])
def test_box_resize_rgb565_bad_side_is_refused(
    kernels: Kernels, sides: tuple[int, int, int, int]
) -> None:
    out = np.full(4, 7, np.uint8)
    width, height, *target = sides
    with pytest.raises(KernelError, match="bad shape"):
        kernels.check(
            kernels.c.box_resize_rgb565(pointer(out), width, height, pointer(out), *target)
        )
    assert np.all(out == 7)

"""Views are fixed by key and number; the box average is the device's, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from moteye_training.augment import box_crops, box_resize, make_view, squash
from moteye_training.data import Photo
from numpy.typing import NDArray
from PIL import Image


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """A picture of noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("view", range(8))
def test_make_view_same_key_and_number_same_picture(view: int) -> None:
    image = Image.fromarray(noise(90, 120))
    first, second = make_view(image, "key", view), make_view(image, "key", view)
    assert first.size == second.size
    assert np.array_equal(np.asarray(first), np.asarray(second))


def test_make_view_other_number_or_key_other_picture() -> None:
    image = Image.fromarray(noise(90, 120))
    pictures = [squash(make_view(image, k, v), 48) for k, v in (("a", 1), ("a", 2), ("b", 1))]
    assert not np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_make_view_zero_is_the_whole_photo() -> None:
    image = Image.fromarray(noise(50, 70))
    assert np.array_equal(np.asarray(make_view(image, "key", 0)), np.asarray(image))


def plain_box_resize(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The definition, loop by loop."""
    height, width = image.shape[:2]
    out = np.zeros((side, side, 3), np.uint8)
    for y in range(side):
        y0, y1 = y * height // side, max((y + 1) * height // side, y * height // side + 1)
        for x in range(side):
            x0, x1 = x * width // side, max((x + 1) * width // side, x * width // side + 1)
            count = (y1 - y0) * (x1 - x0)
            total = image[y0:y1, x0:x1].astype(np.int64).sum((0, 1))
            out[y, x] = (total + count // 2) // count
    return out


@pytest.mark.parametrize("size", [(96, 96), (240, 320), (144, 192), (97, 95), (50, 300), (1, 1)])
def test_box_resize_any_size_equals_the_definition(size: tuple[int, int]) -> None:
    image = noise(*size)
    assert np.array_equal(box_resize(image), plain_box_resize(image, 96))


def test_box_resize_constant_stays_constant() -> None:
    assert (box_resize(np.full((111, 133, 3), 201, np.uint8)) == 201).all()


def test_box_crops_small_and_whole_boxes_are_left_out() -> None:
    boxes = ((0.0, 0.0, 10.0, 10.0, "cup"), (0.0, 0.0, 159.0, 119.0, "bed"),
             (20.0, 20.0, 70.0, 80.0, "cat"))  # fmt: skip
    photo = Photo("k", "s", 0, 0, "test", boxes=boxes, width=160, height=120)
    ((crop, name),) = box_crops(photo)
    assert name == "cat"
    assert crop[0] < 20
    assert crop[2] > 70

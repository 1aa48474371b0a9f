"""Another part of each photo a step: by area, as the device shrinks its frames."""

import numpy as np
import torch
from moteye_training import zoom as zoom_module
from moteye_training.augment import area_shrink, squash
from moteye_training.rows import to_input
from moteye_training.towers import Group
from moteye_training.zoom import (
    LEAST_AREA,
    STILL_THERE,
    WHOLE,
    larger_pixels,
    other_light,
    parts,
    shares,
    zoom,
)
from PIL import Image

CPU = torch.device("cpu")


def pictures(side, count=6):
    return np.random.default_rng(1).integers(0, 256, (count, side, side, 3), np.uint8)


def test_the_whole_picture_is_what_area_shrinking_gives():
    many = pictures(24)
    whole = shares(np.zeros(6, np.float32), np.ones(6, np.float32), 24, 18)
    small = whole[:, None] @ to_input(many, CPU) @ whole[:, None].transpose(2, 3)
    wanted = to_input(area_shrink(many, 18), CPU)
    # area_shrink rounds to whole steps of the pixels.
    torch.testing.assert_close(small, wanted, atol=0.6 / 128, rtol=0)


def test_a_part_is_that_part():
    x = torch.arange(24.0).expand(1, 3, 24, 24)
    half = shares(np.float32([0.5]), np.float32([1.0]), 24, 12)
    torch.testing.assert_close((x @ half[:, None].transpose(2, 3))[0, 0, 0], torch.arange(12.0, 24))


def test_parts_are_of_the_size_that_their_target_holds_for():
    edges, area = parts(np.random.default_rng(0), 4000)
    assert edges.min() >= 0
    assert edges.max() <= 1 + 1e-6
    sides = edges[:, 2:] - edges[:, :2]
    np.testing.assert_allclose(sides.prod(1), area, rtol=1e-4)
    # A stretched part can be wider than the photo: it is cut there, and loses some area.
    assert area.min() > LEAST_AREA * 0.85
    assert abs((area > 0.999).mean() - WHOLE) < 0.04


def test_zoom_says_where_everything_is_still_there():
    rng = np.random.default_rng(3)
    seen, there = zoom(to_input(pictures(32, 64), CPU), rng, 24)
    _, area = parts(np.random.default_rng(3), 64)
    assert seen.shape == (64, 3, 24, 24)
    np.testing.assert_array_equal(there, area >= STILL_THERE)
    assert seen.min() >= -1
    assert seen.max() <= 1


def test_other_light_keeps_half_as_they_are_at_least_and_all_in_range():
    x = to_input(pictures(16, 400), CPU)
    lit = other_light(x, np.random.default_rng(0))
    assert lit.min() >= -1
    assert lit.max() <= 127 / 128
    unchanged = (lit - x).abs().amax((1, 2, 3)) < 1e-5
    assert 0.07 < unchanged.float().mean() < 0.18
    grey = lit.std(1).amax((1, 2)) < 1e-5
    assert 0.02 < grey.float().mean() < 0.12


def test_larger_pixels_are_computed_once(tmp_path, monkeypatch):
    picture = Image.fromarray(pictures(40, 1)[0])
    monkeypatch.setattr(zoom_module, "render", lambda photo, view: picture)
    group = Group("v0", ((0, 0), (1, 0), (2, 0)))
    first = np.array(larger_pixels(tmp_path, group, [None] * 3, 32, 1))
    np.testing.assert_array_equal(first, np.stack([squash(picture, 32)] * 3))
    again = larger_pixels(tmp_path, group, [], 32, 1)
    np.testing.assert_array_equal(again, first)

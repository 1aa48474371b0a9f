"""How much colour a frame has, on frames of every kind of camera size."""

import numpy as np
import pytest
import support.firmware_host  # noqa: F401  puts `micropython` there
from colour import colour_percent


@pytest.mark.parametrize("size", [(320, 240), (96, 96), (17, 31), (16, 16)])
def test_grey_frames_have_none_even_with_noise_and_colourful_ones_have(size):
    width, height = size
    rng = np.random.default_rng(0)
    grey = np.repeat(rng.integers(20, 230, (height, width, 1)), 3, axis=2)
    noisy = np.clip(grey + rng.normal(0, 3, grey.shape), 0, 255).astype(np.uint8)
    assert colour_percent(grey.astype(np.uint8).tobytes(), width, height) == 0
    assert colour_percent(noisy.tobytes(), width, height) < 3
    brown = noisy * np.array([1, 0.85, 0.7])
    assert colour_percent(brown.astype(np.uint8).tobytes(), width, height) > 20
    assert colour_percent(bytes(width * height * 3), width, height) == 0

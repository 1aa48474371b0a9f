"""What `changes: embedding` makes of real photos: noise and light are usual, a thing is not.

`pytest -s` prints the distances.
"""

import numpy as np
import pytest
from moteye.core.change import LEAST_USUAL_Q12, ONE_Q12, Scene
from moteye.core.language.rules import Change
from moteye.imaging import ImageEncoder, load_rgb
from moteye.resources import model_dir
from support.live import skimage_photo

DEFAULT_TIMES = Change().times


@pytest.fixture(scope="module")
def encoder():
    return ImageEncoder(model_dir() / "encoder.tflite")


def distance(scene: Scene, picture: np.ndarray, encoder: ImageEncoder) -> float:
    """1 - cosine to the scene, of RGB uint8[H, W, 3]."""
    ratio_q8 = scene.ratio_q8(encoder.encode(picture))
    return ratio_q8 / 256 * LEAST_USUAL_Q12 / ONE_Q12


def brighter(picture: np.ndarray, gain: float) -> np.ndarray:
    return np.clip(picture * gain, 0, 255).astype(np.uint8)


def with_a_thing(picture: np.ndarray, thing: np.ndarray) -> np.ndarray:
    """The thing in the lower left ninth of the picture."""
    changed = picture.copy()
    height, width = picture.shape[0] // 3, picture.shape[1] // 3
    rows = np.arange(height) * thing.shape[0] // height
    columns = np.arange(width) * thing.shape[1] // width
    changed[-height:, :width] = thing[rows][:, columns]
    return changed


@pytest.mark.parametrize("name", ["astronaut.png", "chelsea.png", "rocket.jpg"])
def test_light_and_noise_are_usual_and_a_thing_in_a_ninth_of_the_picture_is_not(name, encoder):
    picture, thing = load_rgb(skimage_photo(name)), load_rgb(skimage_photo("coffee.png"))
    scene = Scene.first(encoder.encode(picture), 0)
    noise = np.random.default_rng(0).normal(0, 6, picture.shape)
    noisy = np.clip(picture + noise, 0, 255).astype(np.uint8)
    usual = [distance(scene, brighter(picture, gain), encoder) for gain in (0.8, 1.25)]
    usual.append(distance(scene, noisy, encoder))
    found = distance(scene, with_a_thing(picture, thing), encoder)
    limit = DEFAULT_TIMES * LEAST_USUAL_Q12 / ONE_Q12
    print(
        f"{name}: light and noise at most {max(usual):.3f}, a thing {found:.3f}, limit {limit:.3f}"
    )
    assert max(usual) < limit / 2
    assert found > limit

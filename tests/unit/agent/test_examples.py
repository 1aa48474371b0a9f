"""`see: {like: …}`: example pictures as a prototype."""

import numpy as np
import pytest
from moteye import policies
from moteye.cli.app import app
from moteye.core.decisions import Decision
from moteye.errors import PolicyErrors
from moteye.imaging import ImageEncoder, ImageError, load_rgb
from moteye.store import Batch, RecordedEvent, Store, default_url
from moteye.text.frames import frame_text
from moteye.text.space import load_space
from PIL import Image
from support.live import skimage_photo
from typer.testing import CliRunner


@pytest.fixture(scope="module")
def space():
    return load_space()


def write(folder, see: str):
    """A policy and four pictures of a motorcycle, each cut a little otherwise."""
    photo = Image.open(skimage_photo("motorcycle_left.png")).convert("RGB")
    for number in range(4):
        box = (20 * number, 10 * number, photo.width - 15 * number, photo.height)
        photo.crop(box).save(folder / f"bike{number}.png")
    path = folder / "bike.yaml"
    path.write_text(f"see: {see}\ncertainty: sure\nthen: [log]\n")
    return path


@pytest.mark.parametrize("words", ["", ", any: [a motorcycle]"])
def test_what_is_like_the_pictures_is_seen_and_the_bank_is_not(tmp_path, space, words):
    names = ", ".join(f"bike{number}.png" for number in range(4))
    found = policies.load(write(tmp_path, f"{{like: [{names}]{words}}}"))
    compiled = space.compile(found, number=1, dim=64)
    (item,) = compiled.policies
    assert item.policy.any_of[-1].startswith("like bike0.png +3 #")
    at = len(item.policy.any_of) - 1
    encoder = ImageEncoder(space.model / "encoder.tflite")
    other = encoder.encode(load_rgb(skimage_photo("motorcycle_right.png")))
    margins = compiled.scorer.margins_q8(other[None])[0]
    assert margins[item.columns[at]] >= item.enter_q8[at]
    background = compiled.built.background_q8(int(item.columns[at]), item.columns)
    assert (background >= item.enter_q8[at]).mean() < 2e-3
    cat = encoder.encode(load_rgb(skimage_photo("chelsea.png")))
    assert compiled.scorer.margins_q8(cat[None])[0, item.columns[at]] < item.enter_q8[at]


def test_the_frame_of_a_decision_is_an_example(tmp_path, space):
    write(tmp_path, "{like: [bike.frame, bike1.png]}")
    encoder = ImageEncoder(space.model / "encoder.tflite")
    seen = encoder.encode(load_rgb(tmp_path / "bike0.png"))
    where = ("cam", 1, 7, 7, 5000)
    decision = Decision("ab12cd34", "p", "cam", True, "seen", "a bike", 700, 300, 7, 1, 5000)
    frame = RecordedEvent("e", *where, space.encoder_hash, seen.tobytes())
    Store(default_url()).commit(Batch(events=[frame], decisions=[decision]))
    kept = tmp_path / "bike.frame"
    done = CliRunner().invoke(app, ["example", "ab12", str(kept)])
    assert done.exit_code == 0, done.output
    assert "a bike on cam" in done.output
    picture = str(tmp_path / "bike0.png")
    assert np.allclose(space.example_vector([str(kept)]), space.example_vector([picture]))
    (policy,) = policies.load(tmp_path / "bike.yaml")
    assert space.compile([policy], number=1, dim=64).policies[0].policy.any_of
    other = frame_text(seen.tobytes(), b"another!", camera="cam", decision="x")
    for text, message in ((other, "encoder 616e6f74686572"), ("{}", "not a frame"), ("", "not a")):
        kept.write_text(text)
        with pytest.raises(ImageError, match=f"bike.frame: .*{message}"):
            space.compile([policy], number=1, dim=64)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["zzzz", "a.frame"], "is no decision on record"), (["zzzz", "a.jpg"], "ending in .frame")],
)
def test_an_example_that_cannot_be_kept_says_why(tmp_path, arguments, message):
    Store(default_url()).close()
    done = CliRunner().invoke(app, ["example", arguments[0], str(tmp_path / arguments[1])])
    assert done.exit_code != 0
    assert message in str(done.exception)


def test_examples_are_the_mean_of_the_devices_own_embeddings(tmp_path, space):
    write(tmp_path, "{like: [bike0.png]}")
    path = tmp_path / "bike0.png"
    row = ImageEncoder(space.model / "encoder.tflite").encode(load_rgb(path)).astype(float)
    assert np.allclose(space.example_vector([str(path)]), row / np.linalg.norm(row), atol=1e-6)


@pytest.mark.parametrize(
    ("see", "column", "message"),
    [
        ("{like: [bike0.png, nope.png]}", 25, "there is no picture"),
        ("{like: 5}", 13, "not a picture's path"),
        ("{like: []}", 13, "one to 64 pictures"),
    ],
)
def test_pictures_that_are_none_are_named_where_they_stand(tmp_path, see, column, message):
    with pytest.raises(PolicyErrors) as caught:
        policies.load(write(tmp_path, see))
    (problem,) = caught.value.problems
    assert message in problem.message
    assert (problem.line, problem.column) == (1, column)

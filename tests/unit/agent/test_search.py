"""`moteye search` on a real store with the shipped text tower."""

import time
from itertools import pairwise

import numpy as np
import pytest
from moteye.cli.app import app
from moteye.cli.search import APART_MS, nearest
from moteye.store import Batch, RecordedEvent, Store
from moteye.text.space import ImageEncoder, load_rgb, load_space
from support.live import skimage_photo
from typer.testing import CliRunner

NOW_MS = int(time.time() * 1000)
SAID = ("a dog sitting on a sofa", "a man riding a motorcycle", "a red car in the street")


def caption(text: str, minutes_ago: int, camera: str = "hall") -> RecordedEvent:
    time_ms = NOW_MS - 60_000 * minutes_ago
    return RecordedEvent(
        "t", camera, 1, minutes_ago, minutes_ago, time_ms, b"12345678", text.encode()
    )


@pytest.fixture
def recorded(tmp_path):
    url = f"sqlite:///{tmp_path / 'moteye.db'}"
    store = Store(url)
    space = load_space()
    cat = ImageEncoder(space.model / "encoder.tflite").encode(
        load_rgb(skimage_photo("chelsea.png"))
    )
    frame = RecordedEvent(
        "e", "hall", 1, 99, 99, NOW_MS - 5_000_000, space.encoder_hash, cat.tobytes()
    )
    events = [caption(text, 10 * at + 5) for at, text in enumerate(SAID)]
    events += [caption("a dog sitting on a sofa", 60 * 24 * 30, "garden"), frame]
    store.commit(Batch(events=events))
    store.close()
    return url


def search(url: str, *words: str) -> str:
    result = CliRunner().invoke(app, ["search", *words, "--store", url], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    return result.output


def test_nearest_caption_comes_first(recorded):
    lines = search(recorded, "a puppy on the couch").splitlines()
    first = next(line for line in lines if "hall" in line)
    assert "a dog sitting on a sofa" in first


def test_older_captions_are_found_with_a_longer_span(recorded):
    assert "garden" not in search(recorded, "a dog", "--since", "7d")
    assert "garden" in search(recorded, "a dog", "--since", "40d")
    assert "hall" not in search(recorded, "a dog", "--since", "40d", "--camera", "garden")


def test_frames_are_found_without_a_caption(recorded):
    output = search(recorded, "a cat")
    assert "frames nearest" in output
    assert " 99 " in output.partition("frames nearest")[2]


def test_space_of_the_configuration_is_searched(recorded, monkeypatch):
    monkeypatch.setenv("MOTEYE_SPACE", "nowhere")
    result = CliRunner().invoke(app, ["search", "a dog", "--store", recorded])
    assert "nowhere" in str(result.exception)


def test_moments_of_a_camera_are_apart():
    events = [caption("x", 0), caption("x", 0, "garden")]
    events += [RecordedEvent("t", "hall", 1, n, n, NOW_MS - 1000 * n, data=b"x") for n in range(90)]
    rows = np.eye(2, dtype=np.float32)
    found = nearest(rows[0], events, lambda batch: [rows[0] for _ in batch], 10)
    halls = sorted(f.time_ms for f in found if f.camera == "hall")
    assert all(b - a >= APART_MS for a, b in pairwise(halls))
    assert any(f.camera == "garden" for f in found)

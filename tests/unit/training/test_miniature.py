"""The rehearsal's photos are in the formats of real ones, and what it left is looked at."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from moteye_training import miniature
from moteye_training.check import CheckError, check
from moteye_training.data import (
    evaluation_photos,
    has_photos,
    is_validation,
    open_photo,
    training_photos,
)
from moteye_training.evaluate_boxes import frequent_names
from moteye_training.run import Paths
from moteye_training.sources import read_sources
from moteye_training.truth import COCO_NAMES, HOUSEHOLD, is_held_out_name

REPO = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return miniature.write_data(tmp_path_factory.mktemp("miniature") / "photos")


def test_every_record_is_a_photo_with_words(data: Path) -> None:
    assert has_photos(data)
    assert not has_photos(data / "cc3m")
    photos = training_photos(data)
    for photo in photos:
        assert open_photo(photo).size == (photo.width, photo.height)
        assert min(photo.width, photo.height) >= miniature.SHORT_SIDE - 1
        assert photo.captions or photo.label
        for x0, y0, x1, y1, name in photo.boxes:
            assert 0 <= x0 < x1 <= photo.width + 0.1
            assert 0 <= y0 < y1 <= photo.height + 0.1
            assert name in COCO_NAMES
    assert len({photo.key for photo in photos}) == len(photos)


def test_all_kinds_of_measure_have_something_to_measure(data: Path) -> None:
    photos, held = training_photos(data), [p for p in training_photos(data) if is_validation(p)]
    assert len(held) == len(photos) / 8
    assert {name for photo in held for name in photo.box_names} >= {"person", "cat", "cup"}
    assert any(is_held_out_name(photo.label_text) for photo in photos)
    shown = evaluation_photos(data)
    asked = {*HOUSEHOLD, *(p.label_text for p in shown)}
    assert set(frequent_names([p for p in shown if p.eval_set == "coco-eval"])) <= asked
    assert {p.plant for p in shown if p.eval_set == "plants"} == {True, False}


def test_img2dataset_shard_is_read_as_a_source(data: Path, tmp_path: Path) -> None:
    photos = read_sources([f"cc3m={data / 'cc3m'}"], data, tmp_path)
    assert len(photos) >= 30
    assert {photo.captions[0] for photo in photos} >= {"a wall of bricks", "a cat looks up"}


@pytest.fixture
def shipped(tmp_path: Path) -> Paths:
    """What a run would have left, from the files that are shipped."""
    for name in (
        "device/models/accurate/encoder.tflite",
        "host_agent/moteye/space/fast",
        "host_agent/moteye/space/accurate",
        "training/teacher",
    ):
        target = tmp_path / "repo" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (REPO / name).is_dir() else shutil.copyfile)(REPO / name, target)
    bench = tmp_path / "encoder.json"
    bench.write_text(
        json.dumps(
            [
                {"id": "accurate.household24.map", "value": 0.3, "unit": "share"},
                {"id": "accurate.d16_over_d256", "value": float("nan"), "unit": "ratio"},
            ]
        )
    )
    return Paths(tmp_path, tmp_path, tmp_path, tmp_path / "repo", bench)


def test_shipped_files_pass(shipped: Paths, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(shipped, training_photos(data))
    assert "8 pictures give equal 2740 bytes on the device's engine" in capsys.readouterr().out


def test_what_is_wrong_is_named(shipped: Paths, data: Path) -> None:
    photos = training_photos(data)
    shipped.bench.write_text('[{"id": "accurate.ece", "value": NaN, "unit": "share"}]')
    with pytest.raises(CheckError, match=r"encoder\.json: no number for accurate\.ece"):
        check(shipped, photos)
    content = bytearray(shipped.encoder.read_bytes())
    content[-1] ^= 1
    shipped.encoder.write_bytes(content)
    with pytest.raises(CheckError, match=r"calibration\.json: of another encoder"):
        check(shipped, photos)
    shipped.alignment.write_bytes(b"")
    with pytest.raises(CheckError, match=r"missing or empty: .*alignment\.npz"):
        check(shipped, photos)


def test_other_bytes_from_the_engine_are_an_error(
    shipped: Paths, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = np.zeros((8, 2740), np.int8)
    monkeypatch.setattr("moteye_training.check.on_device", lambda _pack, _frames: wrong)
    with pytest.raises(CheckError, match="the device's engine gives other bytes"):
        check(shipped, training_photos(data))

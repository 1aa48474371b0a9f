"""The card speaks of the files that ship."""

import hashlib
import json
from pathlib import Path

from moteye.compiler import compile_model

ROOT = Path(__file__).parents[3]
MODEL = ROOT / "device" / "models" / "accurate"
SPACE = ROOT / "host_agent" / "moteye" / "space" / "accurate"
WORDS = SPACE.parent / "fast"


def test_card_and_calibration_name_the_encoder_that_ships():
    digest = hashlib.sha256((MODEL / "encoder.tflite").read_bytes()).hexdigest()
    assert digest in (MODEL / "CARD.md").read_text()
    calibration = json.loads((SPACE / "calibration.json").read_text())
    assert calibration["encoder_tflite_sha256"] == digest


def test_the_pack_is_what_the_compiler_makes_of_it():
    tflite = (MODEL / "encoder.tflite").read_bytes()
    assert compile_model(tflite) == (MODEL / "encoder.mpk").read_bytes()


def test_sizes_are_within_what_was_promised():
    assert (MODEL / "encoder.mpk").stat().st_size <= 885_000
    assert (WORDS / "text.tflite").stat().st_size <= 25_000_000


def test_every_figure_of_the_card_has_an_id():
    rows = json.loads((MODEL / "metrics.json").read_text())
    ids = {row["id"] for kind in rows.values() if isinstance(kind, list) for row in kind}
    for wanted in (
        "accurate.caltech_unseen100.top1",
        "accurate.caltech_unseen100.d16.top1",
        "accurate.household24.map",
        "accurate.plants.auc",
        "accurate.over_teacher",
        "teacher.household24.map",
        "text.cosine",
    ):
        assert wanted in ids

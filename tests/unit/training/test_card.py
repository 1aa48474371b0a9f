"""The cards speak of the files that ship."""

import hashlib
import json
from pathlib import Path

import pytest
from moteye.compiler import compile_model
from moteye.resources import space_names

ROOT = Path(__file__).parents[3]
MODELS = ROOT / "device" / "models"
SPACES = ROOT / "host_agent" / "moteye" / "space"
WORDS = SPACES / "fast"
both = pytest.mark.parametrize("model", ["accurate", "fast"])
FIGURES = (
    "caltech_unseen100.top1",
    "caltech_unseen100.d16.top1",
    "household24.map",
    "plants.auc",
    "over_teacher",
    "int8_loss_points",
    "m7_instructions",
    "m55_instructions",
    "ram_bytes",
    "flash_bytes",
)


def metrics(model):
    stored = json.loads((MODELS / model / "metrics.json").read_text())
    return {row["id"]: row for kind in stored.values() if isinstance(kind, list) for row in kind}


def test_these_are_all_that_ship():
    assert space_names() == ["accurate", "fast"]


@both
def test_card_and_calibration_name_the_encoder_that_ships(model):
    digest = hashlib.sha256((MODELS / model / "encoder.tflite").read_bytes()).hexdigest()
    assert digest in (MODELS / model / "CARD.md").read_text()
    calibration = json.loads((SPACES / model / "calibration.json").read_text())
    assert calibration["encoder_tflite_sha256"] == digest
    stored = json.loads((MODELS / model / "metrics.json").read_text())
    assert stored["encoder_tflite_sha256"] == digest


@both
def test_the_pack_is_what_the_compiler_makes_of_it(model):
    tflite = (MODELS / model / "encoder.tflite").read_bytes()
    assert compile_model(tflite) == (MODELS / model / "encoder.mpk").read_bytes()


@both
def test_costs_are_within_their_budgets(model):
    assert (MODELS / model / "encoder.mpk").stat().st_size <= 885_000
    rows = metrics(model)
    for name in ("m7_instructions", "ram_bytes", "flash_bytes"):
        row = rows[f"{model}.{name}"]
        assert row["target"] is None or row["value"] <= row["target"], row
    assert rows[f"{model}.m7_instructions"]["target"] is not None


def test_the_text_tower_is_within_what_was_promised():
    assert (WORDS / "text.tflite").stat().st_size <= 25_000_000


@both
def test_every_figure_of_the_card_has_an_id(model):
    ids = metrics(model)
    for wanted in (*(f"{model}.{figure}" for figure in FIGURES), "teacher.household24.map"):
        assert wanted in ids

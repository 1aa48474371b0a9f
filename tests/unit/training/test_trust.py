"""Miniature of what follows training: a written int8 file is run, measured and judged."""

from dataclasses import replace

import numpy as np
import pytest
from moteye.compiler import compile_model
from moteye.compiler.boards import boards, check_model
from moteye_training import tflite_writer as tw
from moteye_training.bank import expected_calibration_error, reliability
from moteye_training.encoder import Encoder
from moteye_training.evaluate_boxes import box_figures
from moteye_training.figures import RATIO_OF, mean_loss
from moteye_training.operating import PLAIN_LAYERS, PLAIN_STEM, PLAIN_WIDE, POINTS
from moteye_training.paired import loss_interval
from moteye_training.protocol import Protocol, Task, measure_embeddings
from moteye_training.space import EMBEDDING, Space
from moteye_training.text import normalise
from moteye_training.tflite_writer import GraphWriter
from moteye_training.trust import four_bit_row, in_four_bits
from moteye_training.truth import HOUSEHOLD

PHOTOS = 168
SETS = ("caltech_unseen100", "grocery", "nips17")


def protocol(rng):
    """Photos that each show one of 24 things, and the things' names, far apart."""
    names = list(HOUSEHOLD)
    texts = {name: rng.standard_normal(384).astype(np.float32) for name in names}
    truth, every = np.arange(PHOTOS) % len(names), np.arange(PHOTOS)
    tasks = [Task(name, every, truth, names) for name in (*SETS, "caltech_unseen50")]
    known = (truth[:, None] == np.arange(len(names))).astype(np.int8)
    texts["captions"] = np.stack([texts[names[at]] for at in truth])
    space = Space(np.eye(384, 256, dtype=np.float32), *np.zeros((2, 384), np.float32))
    plant = truth == names.index("potted plant")
    return Protocol([], tasks, every, known, every, plant, every, texts, {}).into(space)


def embeddings(task, rng, noise):
    """Each photo's vector: its name's, and noise."""
    clean = task.vectors["captions"]
    return normalise(clean + noise * rng.standard_normal(clean.shape).astype(np.float32) / 16)


def test_four_bit_names_lose_little_and_noise_loses_much():
    rng = np.random.default_rng(0)
    task = protocol(rng)
    good, bad = embeddings(task, rng, 1.0), embeddings(task, rng, 9.0)
    whole = np.rint(good * 400).clip(-127, 127).astype(np.int8)
    entry = four_bit_row("mini", task, whole, RATIO_OF)
    assert entry["id"] == "mini.proto4bit_loss_points"
    assert abs(entry["value"]) <= 1.0
    coarse = in_four_bits(task)
    assert not np.allclose(coarse.phrases(HOUSEHOLD), task.phrases(HOUSEHOLD))
    above, below = (measure_embeddings(task, x, 256) for x in (good, bad))
    lost = mean_loss(above, below)
    low, high = loss_interval(task, good, bad, draws=20)
    assert 5 < low < lost < high
    assert loss_interval(task, good, good, draws=3) == (0, 0)


def test_same_tasks_in_another_space_have_other_vectors_alone():
    task = protocol(np.random.default_rng(0))
    turned = Space(-np.eye(384, 256, dtype=np.float32), *np.zeros((2, 384), np.float32))
    other = task.into(turned)
    np.testing.assert_allclose(other.phrases(["cat"]), -task.phrases(["cat"]), atol=1e-6)
    assert other.tasks is task.tasks
    assert replace(other, vectors=task.vectors) == task


def test_reliability_tells_what_was_said_and_what_was_there():
    said = np.array([0.05, 0.05, 0.05, 0.05, 0.95, 0.95], np.float32)
    there = np.array([0, 0, 0, 1, 1, 1], np.bool_)
    bins = reliability(said, there, np.ones(6, np.float32))
    assert [one is not None for one in bins] == [True, *[False] * 8, True]
    assert (bins[0].count, bins[0].present) == (4, 0.25)
    error = expected_calibration_error(said, there, np.ones(6, np.float32))
    assert error == pytest.approx((4 * 0.2 + 2 * 0.05) / 6, abs=1e-6)


def test_box_that_fits_counts_and_one_that_does_not_lowers_both_figures():
    edges = np.array([[[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]]], np.float32)
    true = {"cup": [np.array([[0.0, 0.0, 0.5, 0.45]], np.float32)]}
    right = box_figures(true, {"cup": np.array([[3.0, -9.0]])}, edges, 0.0)["cup"]
    assert right == {"ap50": 1.0, "f1": 1.0}
    wrong = box_figures(true, {"cup": np.array([[1.0, 3.0]])}, edges, 0.0)["cup"]
    assert wrong["ap50"] == 0.5
    assert wrong["f1"] == pytest.approx(2 / 3)


def plain_file(rng):
    """The plain student's graph with random weights."""
    side = POINTS["max78000"].side
    graph = GraphWriter()
    first = graph.activation("pixels", (1, side, side, 3), 1 / 128, 0)

    def conv(x, name, channels, kernel=3):
        shape = (channels, kernel, kernel, x.shape[3])
        weight = rng.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32)
        bias = np.zeros(channels, np.float32)
        return tw.conv(graph, name, x, weight, bias, 1, True, 6 / 255, -128)

    x = conv(first, "stem", PLAIN_STEM)
    for number, layer in enumerate(PLAIN_LAYERS):
        if layer.pool:
            x = tw.max_pool(graph, f"block{number}/pool", x)
        x = conv(x, f"block{number}", layer.channels, layer.kernel)
    x = tw.mean(graph, "mean", conv(x, "wide", PLAIN_WIDE, 1), 6 / 255, -128)
    weight = rng.normal(0, 0.1, (EMBEDDING, PLAIN_WIDE)).astype(np.float32)
    bias = np.zeros(EMBEDDING, np.float32)
    return graph.finish(
        [first], [tw.fully_connected(graph, "embedding", x, weight, bias, 1 / 64, 0)]
    )


def test_plain_student_fits_the_max78000_and_tells_pictures_apart(tmp_path):
    content = plain_file(np.random.default_rng(0))
    found = check_model(content, boards()["max78000"], set_bytes=6_554, frame=(64, 64))
    assert all(finding.fits for finding in found), found
    assert len(content) <= 500_000
    assert len(compile_model(content)) < len(content) + 20_000
    (tmp_path / "encoder.tflite").write_bytes(content)
    encoder = Encoder(tmp_path / "encoder.tflite")
    dark, bright = np.full((64, 64, 3), 20, np.uint8), np.full((64, 64, 3), 220, np.uint8)
    assert encoder(dark).shape == (EMBEDDING,)
    assert (encoder(dark) != encoder(bright)).mean() > 0.3

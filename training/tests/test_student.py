"""Students with random weights: what is exported is what was trained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from moteye.compiler.boards import boards, check_model
from moteye_training.dense_rows import FeatureTower
from moteye_training.distil import DistilOptions, Late, frozen_maps, progress
from moteye_training.embedding_only import output_scale, with_layer, write_embedding
from moteye_training.encoder import Encoder
from moteye_training.export import calibrate, compare, export_encoder
from moteye_training.mobilenet import mobilenet_student
from moteye_training.operating import POINTS
from moteye_training.plain import plain_student
from moteye_training.quantised import AsInt8, rounded_weight
from moteye_training.refine import Maps, embed_maps, map_tower, write_head
from moteye_training.rows import Rows, to_input
from moteye_training.run import Paths, Plan, Run
from moteye_training.steps import Folded
from moteye_training.student import Block, ConvBn, Student


def block(c_in, c_out, stride, residual):
    spec = {
        "in_channels": c_in, "out_channels": c_out, "kernel_size": 5, "stride": stride,
        "expand_ratio": 2, "mid_channels": None,
    }  # fmt: skip
    return Block(spec, residual)


def small_student(side=16):
    """A stem, a block that halves, a residual block."""
    blocks = [block(8, 12, 2, residual=False), block(12, 12, 1, residual=True)]
    return Student(ConvBn(3, 8, 3, 2), blocks, 12, 10, side, wide=32)


def settled(student):
    """The student with BN statistics of some pictures, so that its values are of usual size."""
    student.train()
    with torch.no_grad():
        for seed in range(8):
            student(to_input(pixels(student.side, 64, seed), torch.device("cpu")))
    return student.eval()


def pixels(side, count, seed=0):
    """Pictures of coarse blobs."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, side // 4, side // 4, 3), np.uint8)
    return coarse.repeat(4, 1).repeat(4, 2)


@pytest.fixture(params=["mcunet's kind", "plain"])
def student(request):
    torch.manual_seed(1)
    return settled(small_student() if request.param != "plain" else plain_student(32))


def test_walk_gives_what_forward_gives(student):
    x = to_input(pixels(student.side, 4), torch.device("cpu"))
    with torch.no_grad():
        embedding, _ = student.walk(Folded(), x)
        torch.testing.assert_close(embedding, student(x).embedding, atol=1e-4, rtol=1e-4)
        student.freeze(1)
        torch.testing.assert_close(student(x).embedding, embedding, atol=1e-4, rtol=1e-4)


def test_exported_file_agrees_with_the_student(student, tmp_path):
    some = pixels(student.side, 64)
    export_encoder(student, some, tmp_path / "encoder.tflite")
    mean, _ = compare(student, tmp_path / "encoder.tflite", some)
    assert mean > 0.97


def test_a_head_behind_the_files_maps_agrees_and_leaves_the_maps_alone(tmp_path):
    torch.manual_seed(1)
    student, some = settled(small_student()), pixels(16, 64)
    path = tmp_path / "encoder.tflite"
    export_encoder(student, some, path)
    tower = map_tower(path)
    stored = np.stack([tower(one)[0] for one in some])
    maps, before = Maps(stored, *tower.steps[0]), Encoder(path).many(some)
    student.freeze(len(student.blocks))
    with torch.no_grad():
        student.head.weight += torch.randn(student.head.weight.shape) * 0.05
    write_head(path, student, maps, some)
    np.testing.assert_array_equal(np.stack([map_tower(path)(one)[0] for one in some]), stored)
    after = Encoder(path).many(some).astype(np.float32)
    assert not np.array_equal(after, before)
    floats = embed_maps(student, maps)
    cosine = (after * floats).sum(1) / np.linalg.norm(after, axis=1)
    assert (cosine / np.linalg.norm(floats, axis=1)).min() > 0.97


def test_another_embedding_leaves_all_before_it_alone(tmp_path):
    torch.manual_seed(1)
    student, some = settled(small_student()), pixels(16, 64)
    path = tmp_path / "encoder.tflite"
    export_encoder(student, some, path)
    names = ("wide", "mean")
    before = [FeatureTower(path, names)(one) for one in some[:8]]
    first, scale = Encoder(path).many(some), output_scale(path.read_bytes())
    stored = np.stack([map_tower(path)(one)[0] for one in some])
    maps = Maps(stored, *map_tower(path).steps[0])
    student.freeze(len(student.blocks) + 1)
    assert not any(p.requires_grad for p in student.wide.parameters())
    student.train()
    assert not student.wide.bn.training
    with torch.no_grad():
        student.head.weight += torch.randn(student.head.weight.shape) * 0.05
        student.head.weight *= 7  # the length of an embedding does not count
    write_embedding(path, student, maps, some)
    for one, was in zip(some, before, strict=False):
        for now, old in zip(FeatureTower(path, names)(one), was, strict=True):
            np.testing.assert_array_equal(now, old)
    after = Encoder(path).many(some).astype(np.float32)
    assert output_scale(path.read_bytes()) == scale
    assert not np.array_equal(after, first)
    floats = embed_maps(student, maps)
    cosine = (after * floats).sum(1) / np.linalg.norm(after, axis=1)
    assert (cosine / np.linalg.norm(floats, axis=1)).min() > 0.97
    with pytest.raises(ValueError, match=r"embedding of the file is \(256, 32\), not \(9, 32\)"):
        with_layer(path.read_bytes(), np.ones((9, 32), np.float32), np.ones(9, np.float32))


def test_imitated_int8_is_as_far_from_the_floats_as_the_file(student, tmp_path):
    some = pixels(student.side, 64)
    export_encoder(student, some, tmp_path / "encoder.tflite")
    scale, _ = calibrate(student, some).quantisation("embedding", symmetric=True)
    file = Encoder(tmp_path / "encoder.tflite").many(some[:16]).astype(np.float32) * scale
    x = to_input(some[:16], torch.device("cpu"))
    with torch.no_grad():
        imitated = AsInt8(student, some)(x).embedding.numpy()
        floats = student(x).embedding.numpy()
    # The file's bias takes back the mean shift, so compare what is around the mean.
    off = [np.abs((y - y.mean(0)) - (floats - floats.mean(0))).mean() for y in (imitated, file)]
    assert off[0] > 0
    assert 0.6 < off[0] / off[1] < 1.6


def test_every_weight_learns_through_the_rounding():
    torch.manual_seed(1)
    student = settled(small_student())
    x = to_input(pixels(student.side, 64), torch.device("cpu"))
    wanted = torch.randn(64, 256) * 0.2
    taught, kept = AsInt8(student, pixels(student.side, 64)), dict(student.named_buffers())
    before = {name: value.clone() for name, value in kept.items()}
    weights = [p for n, p in student.named_parameters() if not n.startswith("classifier")]
    optimiser, losses = torch.optim.Adam(weights, 5e-3), []
    for _ in range(40):
        loss = (taught(x).embedding - wanted).square().mean()
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in weights)
    assert losses[-1] < 0.9 * losses[0]
    # Statistics belong to the folded layers that the ranges were measured on.
    assert all(torch.equal(before[name], value) for name, value in kept.items())


def test_rounded_weights_are_what_the_file_holds():
    weight = torch.randn(4, 3, 3, 3)
    steps = weight.abs().flatten(1).amax(1) / 127
    whole = rounded_weight(weight) / steps[:, None, None, None]
    assert (whole - whole.round()).abs().max() < 1e-3
    assert (rounded_weight(weight) - weight).abs().max() <= steps.max() / 2 + 1e-6


def test_plain_student_fits_the_accelerator(tmp_path):
    torch.manual_seed(0)
    student = settled(plain_student(POINTS["max78000"].side))
    path = tmp_path / "encoder.tflite"
    export_encoder(student, pixels(student.side, 32), path)
    found = check_model(
        path.read_bytes(), boards()["max78000"], set_bytes=6_554, frame=(student.side, student.side)
    )
    assert all(finding.fits for finding in found), found
    weights = sum(p.numel() for n, p in student.named_parameters() if "conv.weight" in n)
    assert weights + student.head.weight.numel() <= 432 * 1024


def test_run_of_steps_ends_after_them_whatever_the_time():
    counted = DistilOptions(steps=200)
    assert progress(counted, 100, 1e6) == 0.5
    assert progress(DistilOptions(minutes=2), 7, 60) == 0.5


def test_too_few_pictures_to_calibrate_on_are_named(student):
    with pytest.raises(ValueError, match="5 pictures to calibrate on: at least 32"):
        calibrate(student, pixels(student.side, 5))


def test_student_goes_on_from_the_maps_of_its_frozen_blocks(student):
    student.freeze(1)
    some = pixels(student.side, 6)
    count = np.zeros(6)
    rows = Rows([some], *[count.astype(int), np.arange(6)], *[count] * 6)
    maps = frozen_maps(student, rows, torch.device("cpu"), batch=4)
    with torch.no_grad():
        given = Late(student)(maps.float()).embedding
        wanted = student(to_input(some, torch.device("cpu"))).embedding
    torch.testing.assert_close(given, wanted, atol=0.02, rtol=0.02)


def test_mobilenet_is_the_published_one_at_its_width():
    student = mobilenet_student(96)
    trunk = sum(p.numel() for m in (student.stem, student.blocks) for p in m.parameters())
    # Published: 1.68 M parameters at .35, with 1x1 to 1,280 channels, its BN, and 1,000 classes.
    assert round((trunk + 112 * 1280 + 2 * 1280 + 1281 * 1000) / 1e6, 2) == 1.68
    given = [block.project.conv.out_channels for block in student.blocks]
    assert given == [8] + [8] * 2 + [16] * 3 + [24] * 4 + [32] * 3 + [56] * 3 + [112]
    assert sum(block.residual for block in student.blocks) == 10


def test_more_pixels_than_the_views_have_are_refused():
    plan = Plan(side=128)
    paths = Paths(Path(), Path(), Path(), Path(), Path())
    with pytest.raises(ValueError, match="--side 128: views are kept at 96 pixels a side; say"):
        _ = Run(paths, plan, "cpu").point
    assert Run(paths, replace(plan, zoom=128), "cpu").point.side == 128

"""A teacher of the library open_clip: a tiny one with random weights, through the real code."""

import json

import numpy as np
import pytest
import torch
from moteye_training.align import AlignHead, gather_rows
from moteye_training.data import read_shard
from moteye_training.imagenet import class_probabilities
from moteye_training.open_clip_teacher import OpenClip, embedding_width, load_library
from moteye_training.teachers import choose_teacher
from moteye_training.towers import CLASSES, Layout, fill_caches, open_cache, view_groups
from support.shards import meta, picture, write_shard
from torch.nn import functional as F

TINY = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "patch_size": 16, "layers": 1, "width": 64, "head_width": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Names of 1,000 classes, each its own."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "teacher").mkdir()
    lines = ["background", *(f"thing {n}, object {n}" for n in range(CLASSES - 1))]
    (folder / "teacher" / "imagenet_labels_1001.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def name(tmp_path_factory):
    """The teacher's name: a folder as open_clip's users hand models around."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": TINY, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3}})
    )
    torch.manual_seed(0)
    torch.save(load_library().CLIP(**TINY).state_dict(), folder / "open_clip_pytorch_model.bin")
    return f"open_clip:local-dir:{folder}"


def test_row_is_the_models_own_embedding_and_its_answer_to_the_names(name, models):
    teacher = choose_teacher(name, models)
    assert teacher.layout == Layout(1, 24)
    eyes = teacher.load()
    assert eyes.side == 32
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    row = eyes.see(pixels)
    assert row.shape == (24 + CLASSES,)
    library, local = load_library(), name.removeprefix("open_clip:")
    model = library.create_model(local).eval()
    with torch.no_grad():
        x = (torch.from_numpy(pixels).permute(2, 0, 1).float() / 255 - 0.5) / 0.25
        seen = F.normalize(model.encode_image(x[None]), dim=1)[0]
        texts = library.get_tokenizer(local)(["a photo of a thing 7", "a photo of a object 7"])
        said = F.normalize(F.normalize(model.encode_text(texts), dim=1).mean(0), dim=0)
    np.testing.assert_allclose(row[:24], seen.numpy(), atol=1e-5)
    assert row[24 + 1 + 7] == pytest.approx(100 * float(seen @ said), abs=1e-3)
    probability = class_probabilities(row[None], teacher.layout)
    assert probability.shape == (1, CLASSES - 1)
    assert probability.sum() == pytest.approx(1, abs=1e-4)


def test_cache_is_filled_by_processes_and_taken_up_again(name, models, tmp_path, capfd):
    members = {}
    for number in range(3):
        members |= {f"{number}.jpg": picture(), f"{number}.json": meta()}
    photos = list(read_shard(write_shard(tmp_path / "train-0.tar", members)))
    teacher, groups = choose_teacher(name, models), view_groups(photos, 2)
    fill_caches(tmp_path / "cache", groups, photos, teacher, workers=1)
    (views,) = [group for group in groups if group.name == "v1"]
    cache = open_cache(tmp_path / "cache", views, teacher.layout.row)
    assert cache.done.all()
    whole = open_cache(tmp_path / "cache", groups[0], teacher.layout.row)
    rows = gather_rows(
        [(groups[0], whole.features)], np.ones(3, np.bool_), np.eye(CLASSES - 1, 384, dtype="f4"),
        teacher.layout,
    )  # fmt: skip
    head = AlignHead(teacher.layout.width, 16, 0.0)
    given = head(rows.features.float(), rows.conse.float())
    assert given.shape == (3, 384)
    assert torch.allclose(given.norm(dim=1), torch.ones(3), atol=1e-4)
    # What was done stays: only the row that is missing is looked at again.
    cache.done[2], cache.features[:] = 0, 7
    fill_caches(tmp_path / "cache", groups, photos, teacher, workers=1)
    assert "group v1: 1 of 3 rows to do" in capfd.readouterr().out
    again = open_cache(tmp_path / "cache", views, teacher.layout.row)
    assert (np.asarray(again.features[:, 0]) == 7).tolist() == [True, True, False]


@pytest.mark.parametrize("given", ["clip", "open_clip:", "composed,openai"])
def test_unknown_teacher_says_what_is_expected(given, models):
    with pytest.raises(ValueError, match="expected composed or open_clip:MODEL"):
        choose_teacher(given, models)


def test_unknown_model_and_missing_weights_are_named(models, tmp_path):
    with pytest.raises(ValueError, match="no model 'ViT-XX'"):
        embedding_width("ViT-XX,openai")
    with pytest.raises(ValueError, match=r"open_clip_config\.json: no configuration"):
        embedding_width(f"local-dir:{tmp_path}")
    with pytest.raises(ValueError, match=r"open_clip:RN50 says no weights: one of \['openai'"):
        OpenClip("RN50", models)
    assert embedding_width("RN50,openai") == 1024

"""Public collections, on records in the formats that their own tools write."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from moteye_training.data import ShardError, open_photo
from moteye_training.sources import (
    SourceError,
    coco,
    flowers102,
    food101,
    imagenet1k,
    img2dataset,
    read_sources,
)
from moteye_training.sources.alike import difference_hash, near
from PIL import Image
from scipy.io import savemat
from support.shards import meta, picture, write_shard


def write_json(path: Path, content: Any) -> None:
    """A JSON file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_picture(path: Path) -> None:
    """A small JPEG, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture())


# ---- CC3M, as img2dataset writes it


def cc3m_json(key: str, caption: str) -> bytes:
    """What img2dataset writes beside a picture."""
    record = {
        "caption": caption,
        "url": f"https://example.org/{key}.jpg",
        "key": key,
        "status": "success",
        "error_message": None,
        "width": 256,
        "height": 256,
        "original_width": 640,
        "original_height": 480,
        "exif": "{}",
        "sha256": "0" * 64,
    }
    return json.dumps(record, indent=4).encode()


def test_cc3m_shard_gives_captioned_photos(tmp_path: Path) -> None:
    members = {
        "000000012.jpg": picture(),
        "000000012.txt": b"a potted plant on a table",
        "000000012.json": cc3m_json("000000012", "a potted plant on a table"),
        "000000013.txt": b"a text alone",
        "000000013.jpg": picture(),
    }
    write_shard(tmp_path / "00000.tar", members)
    first, second = img2dataset.photos(tmp_path)
    assert first.key == "cc3m-000000012"
    assert first.captions == ("a potted plant on a table",)
    assert second.captions == ("a text alone",)
    assert open_photo(first).size == (32, 32)


def test_cc3m_bad_records_are_named(tmp_path: Path) -> None:
    shard = tmp_path / "00000.tar"
    write_shard(shard, {"1.jpg": picture(), "1.json": b'{"url": "x"}'})
    with pytest.raises(ShardError, match=r"00000\.tar: record '1\.json': no caption"):
        list(img2dataset.photos(tmp_path))
    write_shard(shard, {"1.jpg": picture()})
    with pytest.raises(ShardError, match=r"record '1': has no caption"):
        list(img2dataset.photos(tmp_path))
    shard.write_bytes(shard.read_bytes()[:900])
    with pytest.raises(ShardError, match=r"00000\.tar"):
        list(img2dataset.photos(tmp_path))


# ---- COCO with Karpathy's split


@pytest.fixture
def coco_folder(tmp_path: Path) -> Path:
    """Two pictures, one of the split `test`."""

    def image(number: int, split: str) -> dict[str, Any]:
        said = [{"raw": f"A cat {i}\n on a mat.", "tokens": ["a"], "sentid": i} for i in range(6)]
        name = f"COCO_val2014_{number:012d}.jpg"
        return {
            "filepath": "val2014", "filename": name, "imgid": 0, "split": split,
            "sentids": [1, 2], "sentences": said, "cocoid": number,
        }  # fmt: skip

    listing = {"dataset": "coco", "images": [image(42, "restval"), image(43, "test")]}
    write_json(tmp_path / "dataset_coco.json", listing)
    annotations = [
        {"id": 1, "image_id": 42, "category_id": 17, "bbox": [1.5, 2, 10, 20], "iscrowd": 0},
        {"id": 2, "image_id": 42, "category_id": 17, "bbox": [0, 0, 32, 32], "iscrowd": 1},
    ]
    instances = {
        "images": [{"id": 42, "file_name": "COCO_val2014_000000000042.jpg"}],
        "categories": [{"id": 17, "name": "cat", "supercategory": "animal"}],
        "annotations": annotations,
    }
    write_json(tmp_path / "annotations" / "instances_val2014.json", instances)
    write_picture(tmp_path / "val2014" / "COCO_val2014_000000000042.jpg")
    return tmp_path


def test_coco_training_split_has_captions_and_boxes(coco_folder: Path) -> None:
    (photo,) = coco.photos(coco_folder)
    assert photo.key == "coco-42"
    assert photo.captions[0] == "A cat 0 on a mat."
    assert len(photo.captions) == 5
    assert photo.boxes == ((1.5, 2.0, 11.5, 22.0, "cat"),)
    assert open_photo(photo).size == (32, 32)


def test_coco_faults_name_the_record(coco_folder: Path) -> None:
    with pytest.raises(ShardError, match=r"COCO_val2014_000000000043\.jpg.*not there"):
        list(coco.photos(coco_folder, splits=("test",)))
    path = coco_folder / "annotations" / "instances_val2014.json"
    stored = json.loads(path.read_text())
    stored["annotations"][0]["bbox"] = [1, 2, 3]
    write_json(path, stored)
    with pytest.raises(ShardError, match=r"instances_val2014\.json: record 'annotation 1'"):
        list(coco.photos(coco_folder))
    path.write_text('{"annotations": [')
    with pytest.raises(ShardError, match=r"instances_val2014\.json.*not valid JSON"):
        list(coco.photos(coco_folder))


# ---- ImageNet-1k


SYNSETS = [f"n{number:08d}" for number in range(1_440_764, 1_441_764)]


@pytest.fixture
def imagenet_folder(tmp_path: Path) -> Path:
    """The list of names, out of order, and two pictures in folders of synsets."""
    lines = [f"{synset} thing {at}, other name" for at, synset in enumerate(SYNSETS)]
    (tmp_path / "LOC_synset_mapping.txt").write_text("\n".join(reversed(lines)) + "\n")
    for at, number in ((999, 7), (3, 12)):
        write_picture(tmp_path / "train" / SYNSETS[at] / f"{SYNSETS[at]}_{number}.JPEG")
    return tmp_path


def test_imagenet_folders_have_class_numbers_by_the_alphabet(imagenet_folder: Path) -> None:
    first, last = imagenet1k.photos(imagenet_folder)
    assert (first.key, first.label) == (f"imagenet1k-{SYNSETS[3]}_12", "thing 3")
    assert (first.extra[imagenet1k.CLASS], last.extra[imagenet1k.CLASS]) == (3, 999)
    assert open_photo(first).size == (32, 32)


def test_imagenet_tar_of_tars_is_read_in_place(imagenet_folder: Path) -> None:
    shutil.rmtree(imagenet_folder / "train")
    tars = {}
    for at in (5, 6):
        inner = imagenet_folder / "inner.tar"
        names = [f"{SYNSETS[at]}_{number}.JPEG" for number in (1, 2)]
        write_shard(inner, {name: picture(16 + at) for name in names})
        tars[f"{SYNSETS[at]}.tar"] = inner.read_bytes()
    outer = write_shard(imagenet_folder / imagenet1k.TRAIN_TAR, tars)
    found = list(imagenet1k.photos(imagenet_folder))
    assert [photo.extra[imagenet1k.CLASS] for photo in found] == [5, 5, 6, 6]
    assert [open_photo(photo).size[0] for photo in found] == [21, 21, 22, 22]
    outer.write_bytes(outer.read_bytes()[:2000])
    with pytest.raises(ShardError, match=r"ILSVRC2012_img_train\.tar: record 'n01440769"):
        list(imagenet1k.photos(imagenet_folder))


def test_imagenet_faults_name_the_record(imagenet_folder: Path) -> None:
    stray = imagenet_folder / "train" / SYNSETS[3] / f"{SYNSETS[4]}_1.JPEG"
    write_picture(stray)
    with pytest.raises(ShardError, match=rf"record '{SYNSETS[4]}_1\.JPEG': is not a picture"):
        list(imagenet1k.photos(imagenet_folder))
    stray.unlink()
    (imagenet_folder / "train" / "cats").mkdir()
    with pytest.raises(ShardError, match="record 'cats': is not the name of a synset"):
        list(imagenet1k.photos(imagenet_folder))
    mapping = imagenet_folder / "LOC_synset_mapping.txt"
    lines = mapping.read_text().splitlines()
    mapping.write_text("\n".join(lines[:-1]))
    with pytest.raises(ShardError, match="999 of 1000"):
        list(imagenet1k.photos(imagenet_folder))
    mapping.write_text("\n".join(["thing 3", *lines]))
    with pytest.raises(ShardError, match=r"record 'line 1': 'thing 3' is not"):
        list(imagenet1k.photos(imagenet_folder))
    mapping.unlink()
    with pytest.raises(ShardError, match=r"is missing, and so is synset_words\.txt"):
        list(imagenet1k.photos(imagenet_folder))


# ---- Flowers 102


@pytest.fixture
def flowers_folder(tmp_path: Path) -> Path:
    """Three pictures of two flowers."""
    savemat(tmp_path / "imagelabels.mat", {"labels": np.array([[77, 77, 73]], np.uint8)})
    sets = {"trnid": np.array([[3]]), "valid": np.array([[1]]), "tstid": np.array([[2]])}
    savemat(tmp_path / "setid.mat", sets)
    write_json(tmp_path / "cat_to_name.json", {"77": "passion flower", "73": "water lily"})
    for number in (1, 2, 3):
        write_picture(tmp_path / "jpg" / f"image_{number:05d}.jpg")
    return tmp_path


def test_flowers_have_the_names_of_their_classes(flowers_folder: Path) -> None:
    lily, passion = flowers102.photos(flowers_folder)
    assert (lily.key, lily.label_text) == ("flowers102-3", "water lily")
    assert (passion.key, passion.label_text) == ("flowers102-1", "passion flower")
    assert [p.key for p in flowers102.photos(flowers_folder, ("tstid",))] == ["flowers102-2"]


def test_flowers_faults_name_the_record(flowers_folder: Path) -> None:
    write_json(flowers_folder / "cat_to_name.json", {"73": "water lily"})
    with pytest.raises(ShardError, match="record 'class 77': has no name"):
        list(flowers102.photos(flowers_folder))
    (flowers_folder / "setid.mat").write_bytes(b"no mat file at all")
    with pytest.raises(ShardError, match=r"setid\.mat"):
        list(flowers102.photos(flowers_folder))
    (flowers_folder / "imagelabels.mat").unlink()
    with pytest.raises(ShardError, match=r"imagelabels\.mat.*is missing"):
        list(flowers102.photos(flowers_folder))


# ---- Food 101


def test_food_has_words_for_labels(tmp_path: Path) -> None:
    write_json(tmp_path / "meta" / "train.json", {"apple_pie": ["apple_pie/1005649"]})
    write_picture(tmp_path / "images" / "apple_pie" / "1005649.jpg")
    (photo,) = food101.photos(tmp_path)
    assert (photo.key, photo.label_text) == ("food101-apple_pie/1005649", "apple pie")
    (tmp_path / "images" / "apple_pie" / "1005649.jpg").unlink()
    with pytest.raises(ShardError, match=r"1005649\.jpg.*not there"):
        list(food101.photos(tmp_path))
    write_json(tmp_path / "meta" / "train.json", {"apple_pie": "1005649"})
    with pytest.raises(ShardError, match="'apple_pie': not a list"):
        list(food101.photos(tmp_path))


# ---- what is left out


def test_pictures_like_an_evaluation_photo_are_left_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    big, other = (
        Image.fromarray(rng.integers(0, 255, (8, 9, 3), np.uint8)).resize((90, 80))
        for _ in range(2)
    )
    data, food = tmp_path / "data", tmp_path / "food"
    data.mkdir()
    (food / "images" / "pie").mkdir(parents=True)
    big.save(food / "images" / "pie" / "same.jpg", quality=60)
    other.save(food / "images" / "pie" / "other.jpg", quality=60)
    write_json(food / "meta" / "train.json", {"pie": ["pie/same", "pie/other"]})
    big.resize((45, 40)).save(tmp_path / "small.jpg", quality=90)
    members = {"a.jpg": (tmp_path / "small.jpg").read_bytes(), "a.json": meta(eval_set="plants")}
    write_shard(data / "eval-000.tar", members)
    kept = read_sources([f"food101={food}"], data, tmp_path / "cache")
    assert [photo.key for photo in kept] == ["food101-pie/other"]
    # Once more from the cache of hashes: the pictures are not read again.
    shutil.rmtree(food / "images" / "pie", ignore_errors=False)
    (food / "images" / "pie").mkdir()
    for name in ("same", "other"):
        (food / "images" / "pie" / f"{name}.jpg").write_bytes(b"x")
    again = read_sources([f"food101={food}"], data, tmp_path / "cache")
    assert [photo.key for photo in again] == ["food101-pie/other"]


def test_alike_means_at_most_four_bits() -> None:
    hashes = np.array([0b0, 0b1111, 0b11111], np.uint64)
    assert near(hashes, np.array([0], np.uint64)).tolist() == [True, True, False]
    ramp = Image.fromarray(np.tile(np.arange(0, 252, 4, dtype=np.uint8), (64, 1)))
    assert difference_hash(ramp) == 2**64 - 1


@pytest.mark.parametrize("text", ["imagenet=/tmp", "coco", "coco=/nowhere/at/all"])
def test_source_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=text.split("=")[0]):
        read_sources([text], tmp_path, tmp_path)

"""Shards: what is wrong with a record is said with shard and record."""

from __future__ import annotations

from pathlib import Path

import pytest
from moteye_training.data import (
    ShardError,
    is_validation,
    load_index,
    open_photo,
    read_shard,
    training_photos,
)
from support.shards import meta, picture, write_shard


def test_read_shard_good_record_keeps_words_and_boxes(tmp_path: Path) -> None:
    boxes = [[1, 2, 3, 4, "cup"], [2, 2, 9, 9, "cup"]]
    members = {"a.jpg": picture(), "a.json": meta(boxes=boxes)}
    (photo,) = read_shard(write_shard(tmp_path / "train-0.tar", members))
    assert photo.label_text == "Golden Delicious"
    assert photo.box_names == ("cup",)
    assert open_photo(photo).size == (32, 32)


def test_open_photo_truncated_image_names_shard_and_record(tmp_path: Path) -> None:
    members = {"a.jpg": picture(), "a.json": meta(), "cut.jpg": picture()[:300], "cut.json": meta()}
    shard = write_shard(tmp_path / "train-0.tar", members)
    good, bad = read_shard(shard)
    open_photo(good)
    with pytest.raises(ShardError, match=r"train-0\.tar: record 'cut\.jpg'"):
        open_photo(bad)


def test_read_shard_bad_json_names_record(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "train-0.tar", {"a.jpg": picture(), "a.json": b'{"source": '})
    with pytest.raises(ShardError, match=r"train-0\.tar: record 'a\.json': not valid JSON"):
        list(read_shard(shard))


def test_read_shard_bad_box_names_record(tmp_path: Path) -> None:
    members = {"a.jpg": picture(), "a.json": meta(boxes=[[1, 2, 3]])}
    shard = write_shard(tmp_path / "train-0.tar", members)
    with pytest.raises(ShardError, match=r"record 'a\.json': a box"):
        list(read_shard(shard))


def test_read_shard_picture_without_json_is_named(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "train-0.tar", {"a.jpg": picture()})
    with pytest.raises(ShardError, match=r"record 'a': has no \.json"):
        list(read_shard(shard))


def test_read_shard_cut_tar_is_refused(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "train-0.tar", {"a.jpg": picture(), "a.json": meta()})
    shard.write_bytes(shard.read_bytes()[:700])
    with pytest.raises(ShardError, match=r"train-0\.tar"):
        list(read_shard(shard))


def test_load_index_no_shard_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=tmp_path.name):
        load_index(tmp_path, ("train-*.tar",))


def test_training_photos_evaluation_record_is_refused(tmp_path: Path) -> None:
    members = {"a.jpg": picture(), "a.json": meta(eval_set="plants")}
    for name in ("train-0.tar", "extra-0.tar", "plants-0.tar"):
        write_shard(tmp_path / name, members)
    with pytest.raises(ShardError, match="evaluation photo"):
        training_photos(tmp_path)


def test_is_validation_is_fixed_by_the_key(tmp_path: Path) -> None:
    members = {}
    for number in range(400):
        members[f"k{number}.jpg"] = b""
        members[f"k{number}.json"] = meta()
    photos = list(read_shard(write_shard(tmp_path / "train-0.tar", members)))
    held = [photo.key for photo in photos if is_validation(photo)]
    assert held == [photo.key for photo in reversed(photos) if is_validation(photo)][::-1]
    assert 5 <= len(held) <= 40

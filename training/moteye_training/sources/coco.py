"""COCO with Karpathy's split: five captions and all boxes a photo.

FOLDER/dataset_coco.json                    captions and split (Karpathy and Fei-Fei, 2015)
FOLDER/annotations/instances_train2014.json   and _val2014: boxes (cocodataset.org)
FOLDER/train2014/COCO_train2014_….jpg         and val2014/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..data import Photo, ShardError
from .files import file_photo, load_json

TRAINING_SPLITS = ("train", "restval")
Box = tuple[float, float, float, float, str]


def photos(folder: Path, splits: Sequence[str] = TRAINING_SPLITS) -> Iterator[Photo]:
    """Photos of the given Karpathy splits. Raises ShardError for what is missing or malformed."""
    listing = folder / "dataset_coco.json"
    records = load_json(listing)
    boxes = _boxes(folder / "annotations")
    for record in records.get("images", ()) if isinstance(records, dict) else ():
        try:
            if record["split"] not in splits:
                continue
            path = folder / record["filepath"] / record["filename"]
            number = int(record["cocoid"])
            captions = tuple(" ".join(said["raw"].split()) for said in record["sentences"][:5])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            name = str(record.get("filename", record) if isinstance(record, dict) else record)
            raise ShardError(listing, name, f"not a record of this split ({error!r})") from None
        yield file_photo(
            path,
            f"coco-{number}",
            "coco-train2017",  # every thing of the 80 classes is boxed, so absence is known
            captions=captions,
            boxes=tuple(boxes.get(number, ())),
        )


def _boxes(folder: Path) -> dict[int, list[Box]]:
    """Boxes by the picture's id; crowds are left out."""
    found: dict[int, list[Box]] = {}
    files = sorted(folder.glob("instances_*.json"))
    if not files:
        raise ShardError(folder, "instances_*.json", "is missing: no boxes")
    for path in files:
        stored = load_json(path)
        try:
            names = {int(c["id"]): str(c["name"]) for c in stored["categories"]}
            for entry in stored["annotations"]:
                if not entry.get("iscrowd"):
                    found.setdefault(int(entry["image_id"]), []).append(_box(path, entry, names))
        except (KeyError, TypeError) as error:
            raise ShardError(path, "annotations", f"not COCO instances ({error!r})") from None
    return found


def _box(path: Path, entry: dict[str, Any], names: dict[int, str]) -> Box:
    try:
        x, y, width, height = map(float, entry["bbox"])
        name = names[int(entry["category_id"])]
    except (KeyError, TypeError, ValueError) as error:
        raise ShardError(path, f"annotation {entry.get('id')}", f"{error!r}") from None
    if width < 0 or height < 0:
        raise ShardError(path, f"annotation {entry.get('id')}", "a box of negative size")
    return x, y, x + width, y + height, name

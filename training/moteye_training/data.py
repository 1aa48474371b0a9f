"""Photo shards: reading, errors that name the record, splits.

A shard is a WebDataset tar: `KEY.jpg` beside `KEY.json`. An index keeps each photo's metadata and
the byte range of its JPEG, so that pixels are read by seeking and never copied to disk.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

TRAIN_SHARDS = ("train-*.tar", "extra-*.tar", "plants-*.tar")
EVAL_SHARDS = ("eval-*.tar",)
VALIDATION_PERCENT = 5


class ShardError(ValueError):
    """A record of a shard cannot be used; the message names shard and record."""

    def __init__(self, shard: Path | str, record: str, why: str) -> None:
        super().__init__(f"{shard}: record {record!r}: {why}")
        self.shard = str(shard)
        self.record = record


BOXED_SOURCES = ("coco-val2017", "coco-train2017")
"""Sources whose boxes name every thing of the COCO classes, so that absence is known too."""
POTTED_SOURCES = ("houseplant-photos", "plant-shop")
PLANT_SOURCES = ("garden-plants", "ornamental-plants", *POTTED_SOURCES)


@dataclass(frozen=True)
class Photo:
    """One photo's metadata and where its JPEG bytes lie."""

    key: str
    shard: str
    offset: int
    size: int
    source: str
    label: str = ""
    captions: tuple[str, ...] = ()
    boxes: tuple[tuple[float, float, float, float, str], ...] = ()
    eval_set: str = ""
    coarse_label: str = ""
    unseen_strict: bool = False
    plant: bool | None = None
    width: int = 0
    height: int = 0
    extra: dict[str, Any] = field(default_factory=dict, compare=False, hash=False)

    @property
    def label_text(self) -> str:
        """The label as words: of a grocery path the last part, without dashes."""
        return self.label.rsplit("/", 1)[-1].replace("-", " ").replace("_", " ").strip()

    @property
    def box_names(self) -> tuple[str, ...]:
        """Names of the boxed classes, each once, in order of first appearance."""
        return tuple(dict.fromkeys(box[4] for box in self.boxes))


def data_root(given: str | None = None) -> Path:
    """Folder of the shards: the argument, else `MOTEYE_DATA`, else `../shared/data`."""
    return Path(given or os.environ.get("MOTEYE_DATA") or "../shared/data")


def models_root(given: str | None = None) -> Path:
    """Folder of third-party models: the argument, else `MOTEYE_MODELS`, else `../shared/models`."""
    return Path(given or os.environ.get("MOTEYE_MODELS") or "../shared/models")


def _parse(shard: Path, name: str, raw: bytes) -> dict[str, Any]:
    try:
        meta = json.loads(raw)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ShardError(shard, name, f"not valid JSON ({error})") from None
    if not isinstance(meta, dict) or "source" not in meta:
        raise ShardError(shard, name, "JSON is not an object with a `source`")
    return meta


def _photo(shard: Path, key: str, member: tarfile.TarInfo, meta: dict[str, Any]) -> Photo:
    try:
        boxes = tuple(
            (float(b[0]), float(b[1]), float(b[2]), float(b[3]), str(b[4]))
            for b in meta.get("boxes") or ()
        )
    except (TypeError, ValueError, IndexError):
        raise ShardError(shard, key + ".json", "a box is not [x0, y0, x1, y1, name]") from None
    return Photo(
        key=key,
        shard=str(shard),
        offset=member.offset_data,
        size=member.size,
        source=str(meta["source"]),
        label=str(meta.get("label") or ""),
        captions=tuple(str(c) for c in meta.get("captions") or ()),
        boxes=boxes,
        eval_set=str(meta.get("eval_set") or ""),
        coarse_label=str(meta.get("coarse_label") or ""),
        unseen_strict=bool(meta.get("unseen_strict", False)),
        plant=meta.get("plant"),
        width=int(meta.get("w") or 0),
        height=int(meta.get("h") or 0),
    )


def read_shard(shard: Path) -> Iterator[Photo]:
    """Photos of one tar in the order of their JPEGs.

    Raises ShardError for a tar that breaks off, JSON that does not parse, a picture without its
    JSON or the reverse.
    """
    members: dict[str, tarfile.TarInfo] = {}
    metas: dict[str, dict[str, Any]] = {}
    last = "(first)"
    try:
        with tarfile.open(shard) as tar:
            for member in tar:
                last = member.name
                key, _, suffix = member.name.rpartition(".")
                if suffix == "jpg":
                    members[key] = member
                elif suffix == "json":
                    handle = tar.extractfile(member)
                    metas[key] = _parse(shard, member.name, handle.read() if handle else b"")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ShardError(shard, last, f"tar cannot be read here ({error})") from None
    for key in members.keys() ^ metas.keys():
        missing = "json" if key in members else "jpg"
        raise ShardError(shard, key, f"has no .{missing} beside it")
    for key, member in members.items():
        yield _photo(shard, key, member, metas[key])


def load_index(root: Path, patterns: Sequence[str]) -> list[Photo]:
    """Photos of all shards under `root` that match, in shard and then record order."""
    shards = sorted(path for pattern in patterns for path in root.glob(pattern))
    if not shards:
        raise FileNotFoundError(f"no shard like {', '.join(patterns)} in {root.resolve()}")
    return [photo for shard in shards for photo in read_shard(shard)]


def has_photos(root: Path) -> bool:
    """Whether a shard of training photos is there."""
    return any(next(root.glob(pattern), None) for pattern in TRAIN_SHARDS)


def open_photo(photo: Photo) -> Image.Image:
    """The photo as RGB. Raises ShardError when its bytes are no whole picture."""
    with Path(photo.shard).open("rb") as file:
        file.seek(photo.offset)
        raw = file.read(photo.size)
    try:
        with Image.open(io.BytesIO(raw)) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise ShardError(photo.shard, photo.key + ".jpg", f"no whole picture ({error})") from None


def key_bucket(key: str, buckets: int = 100) -> int:
    """Bucket of a key, by a hash that no run, machine or order of shards changes."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % buckets


def is_validation(photo: Photo) -> bool:
    """Whether the photo belongs to the hold-out that choices are made on (never trained on)."""
    return key_bucket(photo.key) < VALIDATION_PERCENT


def training_photos(root: Path) -> list[Photo]:
    """All photos that may be trained or chosen on; an `eval` record here is an error."""
    photos = load_index(root, TRAIN_SHARDS)
    for photo in photos:
        if photo.eval_set:
            raise ShardError(photo.shard, photo.key, "is an evaluation photo in a training shard")
    return photos


def evaluation_photos(root: Path) -> list[Photo]:
    """All photos of the evaluation sets."""
    return load_index(root, EVAL_SHARDS)

"""WebDataset shards as img2dataset writes them, for CC3M: `KEY.jpg`, `KEY.txt`, `KEY.json`.

The JSON has `caption`, `url`, `key`, `status`, `width`, `height`, `original_width`, …
(https://github.com/rom1504/img2dataset). Addresses that no longer answer are not in the tars.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

from ..data import Photo, ShardError


def photos(folder: Path) -> Iterator[Photo]:
    """Captioned photos of all tars in `folder`, in the tars' order. Raises ShardError."""
    for shard in sorted(folder.glob("*.tar")):
        yield from _shard(shard)


def _shard(shard: Path) -> Iterator[Photo]:
    pictures: dict[str, tarfile.TarInfo] = {}
    captions: dict[str, str] = {}
    last = "(first)"
    try:
        with tarfile.open(shard) as tar:
            for member in tar:
                last = member.name
                key, _, suffix = member.name.rpartition(".")
                if suffix == "jpg":
                    pictures[key] = member
                elif suffix in ("txt", "json"):
                    handle = tar.extractfile(member)
                    raw = handle.read() if handle else b""
                    # The text file holds the same caption; the JSON wins where both are there.
                    if suffix == "json" or key not in captions:
                        captions[key] = _caption(shard, member.name, raw)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ShardError(shard, last, f"tar cannot be read here ({error})") from None
    for key, member in pictures.items():
        if not captions.get(key):
            raise ShardError(shard, key, "has no caption in a .json or .txt beside it")
        yield Photo(
            key=f"cc3m-{key}",
            shard=str(shard),
            offset=member.offset_data,
            size=member.size,
            source="cc3m",
            captions=(captions[key],),
        )


def _caption(shard: Path, name: str, raw: bytes) -> str:
    try:
        text = raw.decode()
        return text.strip() if name.endswith(".txt") else str(json.loads(text)["caption"] or "")
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ShardError(shard, name, f"no caption can be read ({error!r})") from None

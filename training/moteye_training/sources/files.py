"""What collections of single files share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..data import Photo, ShardError


def load_json(path: Path) -> Any:
    """The JSON in `path`. Raises ShardError naming the file and, when damaged, the place."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise ShardError(path.parent, path.name, "is missing") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ShardError(path.parent, path.name, f"not valid JSON ({error})") from None


def file_photo(path: Path, key: str, source: str, **words: Any) -> Photo:
    """A photo that is a file of its own. Raises ShardError when it is not there."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise ShardError(path.parent, path.name, "is named by the list, but not there") from None
    return Photo(key=key, shard=str(path), offset=0, size=size, source=source, **words)

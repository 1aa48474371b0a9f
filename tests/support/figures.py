"""Measured figures, as rows of a JSON list that several measurements share."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def add_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Put `rows` into the list of `path` in place of those with the same ids."""
    found = json.loads(path.read_text()) if path.is_file() else []
    ids = {row["id"] for row in rows}
    kept = [row for row in found if isinstance(row, dict) and row["id"] not in ids]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([*kept, *rows], indent=1, ensure_ascii=False) + "\n")

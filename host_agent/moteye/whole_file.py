"""A file that is replaced as a whole: whoever reads it finds the old one or the new one."""

import os
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write beside, to the disk, then rename; makes the folder. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)

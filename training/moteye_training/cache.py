"""Caches on disk that several processes fill and that a later run takes up again."""

from __future__ import annotations

import multiprocessing as mp
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np


def open_memmap(path: Path, dtype: Any, shape: tuple[int, ...]) -> Any:
    """The file as an array, created of zeros when absent.

    Raises ValueError where it has another size, OSError where the disk has no room for all of it:
    a disk that is full later would end the process in the middle of a write, without a word.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if path.exists() and path.stat().st_size != size:
        raise ValueError(f"{path} is for other photos or views: delete it or choose another")
    if not path.exists():
        _reserve(path, size)
    return np.memmap(path, dtype, "r+", shape=shape)


def _reserve(path: Path, size: int) -> None:
    try:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        path.unlink(missing_ok=True)
        reason = f"no room for {size:,} bytes: {error.strerror}"
        raise OSError(error.errno, reason, str(path)) from error


def run_parts(
    work: Callable[..., None], arguments: tuple[Any, ...], done: Any, workers: int, what: str
) -> None:
    """work(*arguments, part, workers) in `workers` processes, where something is not `done`.

    One worker is this process. Raises RuntimeError where one of several failed; it has said why.
    """
    if not (np.asarray(done) == 0).any():
        return
    if workers == 1:
        work(*arguments, 0, 1)
        return
    context = mp.get_context("spawn")
    running = [
        context.Process(target=_aside, args=(work, arguments, part, workers))
        for part in range(workers)
    ]
    for process in running:
        process.start()
    for process in running:
        process.join()
    if any(process.exitcode for process in running):
        raise RuntimeError(f"a worker failed on {what}: see its message above")


def rows_to_do(done: Any, part: int, of: int) -> Iterator[int]:
    """A worker's rows, part, part + of, ..., not `done` yet; marked when the next is asked for.

    So a row in the midst of which a worker ended is done anew.
    """
    for row in range(part, len(done), of):
        if not done[row]:
            yield row
            done[row] = 1


def one_thread() -> None:
    """Of each process one thread, also of what is imported later: for processes side by side."""
    os.environ["OMP_NUM_THREADS"] = "1"


def _aside(work: Callable[..., None], arguments: tuple[Any, ...], part: int, workers: int) -> None:
    os.nice(5)
    one_thread()
    work(*arguments, part, workers)


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file beside and rename it, so that the one that is there stays until this is whole.

    Raises OSError that names the file, the one that is there untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            write(file)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        kept = "; the earlier one is kept" if path.exists() else ""
        raise OSError(error.errno, f"not written: {error.strerror}{kept}", str(path)) from error

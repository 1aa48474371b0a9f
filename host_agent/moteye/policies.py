"""Policy files on disk: read all or none, and notice when they change."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from watchfiles import awatch

from moteye.core.language import Policy, See, Written, check_together, parse_file
from moteye.core.ownership import Ownership, ownership
from moteye.errors import PolicyErrors, Problem

SUFFIXES = (".yaml", ".yml")
SITE = "site.yaml"  # its names may be used by all files of the folder


def load(path: Path) -> list[Policy]:
    """All policies of a file or folder, by file name.

    Raises PolicyErrors with the problems of all files, and when two policies share a name.
    """
    return [one.policy for one in load_written(path)]


def own_devices(path: Path, named: list[str], *, lenient: bool = False) -> Ownership:
    """The devices of an agent with these policies; all where there are none.

    Raises PolicyErrors, or with `lenient` takes broken policies for none.
    """
    return ownership(named, load_lenient(path) if lenient or not path.exists() else load(path))


def load_lenient(path: Path) -> list[Policy]:
    """The policies of a file or folder; none where there are none, or broken ones."""
    try:
        return load(path) if path.exists() else []
    except PolicyErrors:
        return []


def load_written(path: Path) -> list[Written]:
    """All policies of a file or folder with their places in the text; raises as `load` does.

    A file may speak of the policies in the other files of its folder: what those are called is
    known, their own mistakes are not told.
    """
    if not path.exists():
        raise PolicyErrors([Problem(str(path), 1, 1, "no such file or folder")])
    found: list[Written] = []
    problems: list[Problem] = []
    for file in [path] if path.is_file() else sorted(_files(path)):
        try:
            found += _parsed(file)
        except PolicyErrors as error:
            problems += error.problems
    # What a broken file defines cannot be known: then nothing is said about names.
    problems = list(dict.fromkeys(problems)) or check_together(found, _beside(path))
    found = [_with_pictures(one, problems) for one in found]
    if problems:
        raise PolicyErrors(problems)
    return found


def _parsed(file: Path) -> list[Written]:
    site = SITE if file.name != SITE and (file.parent / SITE).is_file() else ""
    try:
        text = file.read_text(encoding="utf-8")
        return parse_file(text, str(file), file.stem, _read, site)
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyErrors([Problem(str(file), 1, 1, f"cannot be read: {error}")]) from error


def _beside(path: Path) -> list[Written]:
    """The policies of the other files of a policy file's folder, as far as they can be read."""
    found: list[Written] = []
    if path.is_file():
        for file in sorted(_files(path.parent)):
            if not file.samefile(path):
                with contextlib.suppress(PolicyErrors):
                    found += _parsed(file)
    return found


def waited_for(found: list[Policy], path: Path) -> list[Policy]:
    """The policies beside the file `path` that a `while: policy` of `found` speaks of.

    And those that these speak of.
    """
    known = {one.policy.name: one for one in _beside(path)}
    others: dict[str, Policy] = {}
    left = list(found)
    while left:
        hours = left.pop().hours
        for name in [one.name for one in hours.policy] if hours is not None else ():
            if name in known and name not in others:
                others[name] = _with_pictures(known[name], []).policy
                left.append(others[name])
    return list(others.values())


async def watch(path: Path) -> AsyncIterator[list[Policy] | PolicyErrors]:
    """After each change of the policies: all of them, or what is wrong with them."""
    last: object = None
    async for _ in awatch(path if path.is_dir() else path.parent, debounce=200, step=50):
        try:
            found = load(path)
        except PolicyErrors as error:
            if str(error) != last:
                last = str(error)
                yield error
            continue
        if found != last:
            last = found
            yield found


def _with_pictures(written: Written, problems: list[Problem]) -> Written:
    """The policy with its example pictures found, beside the file or where they say."""
    see = written.policy.see
    if not isinstance(see, See) or not see.like:
        return written
    paths = []
    for index, name in enumerate(see.like):
        place = written.source.place(("see", "like", index))
        path = Path(place.file).parent / name
        if not path.is_file():
            problems.append(place.problem(f"there is no picture {path}", "a path beside the file"))
        paths.append(str(path.absolute()))
    see = see.model_copy(update={"like": paths})
    return replace(written, policy=written.policy.model_copy(update={"see": see}))


def _read(name: str, file: str) -> tuple[str, str]:
    """Path and text of a file that `file` includes."""
    path = Path(file).parent / name
    return str(path), path.read_text(encoding="utf-8")


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.suffix in SUFFIXES and file.is_file()]

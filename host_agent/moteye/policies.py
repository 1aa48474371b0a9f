"""Policy files on disk: read all or none, and notice when they change."""

from collections.abc import AsyncIterator
from pathlib import Path

from watchfiles import awatch

from moteye.core.language import Policy, parse_policy
from moteye.errors import PolicyErrors, Problem

SUFFIXES = (".yaml", ".yml")


def load(path: Path) -> list[Policy]:
    """All policies of a file or folder, by file name.

    Raises PolicyErrors with the problems of all files, and when two policies share a name.
    """
    if not path.exists():
        raise PolicyErrors([Problem(str(path), 1, 1, "no such file or folder")])
    files = [path] if path.is_file() else sorted(_files(path))
    found: dict[str, tuple[Policy, Path]] = {}
    problems: list[Problem] = []
    for file in files:
        try:
            policy = parse_policy(file.read_text(encoding="utf-8"), str(file), file.stem)
        except PolicyErrors as error:
            problems += error.problems
            continue
        except (OSError, UnicodeDecodeError) as error:
            problems.append(Problem(str(file), 1, 1, f"cannot be read: {error}"))
            continue
        if policy.name in found:
            other = found[policy.name][1]
            problems.append(Problem(str(file), 1, 1, f"name {policy.name!r} is taken by {other}"))
        found[policy.name] = (policy, file)
    if problems:
        raise PolicyErrors(problems)
    return [policy for policy, _ in found.values()]


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


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.suffix in SUFFIXES and file.is_file()]

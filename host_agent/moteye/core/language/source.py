"""YAML text, and where in it something stands."""

from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from moteye.errors import PolicyErrors, Problem


def load_yaml(text: str, path: str) -> Any:
    """The tree of a YAML 1.2 document with its positions. Raises PolicyErrors."""
    yaml = YAML(typ="rt")
    yaml.version = (1, 2)
    try:
        return yaml.load(StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        reason = " ".join((error.problem or "not YAML").split())
        hint = "keep one of the two" if "duplicate key" in reason else ""
        raise PolicyErrors([Problem(path, line, column, reason, hint)]) from None
    except (YAMLError, ValueError) as error:  # control characters and the like
        raise PolicyErrors([Problem(path, 1, 1, f"not YAML: {error}")]) from None


def plain(node: Any) -> Any:
    """Ruamel's containers and scalars as plain Python."""
    if isinstance(node, dict):
        return {plain(key): plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(item) for item in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def position_of(tree: Any, location: tuple[Any, ...], *, at_key: bool) -> tuple[int, int]:
    """Line and column, from 1, of the deepest part of `location` that is in the file."""
    node, line, column = tree, 0, 0
    for part in location:
        if isinstance(node, CommentedMap) and part in node:
            block = isinstance(node[part], (CommentedMap, CommentedSeq)) and part != location[-1]
            at = node.lc.key(part) if at_key or block else node.lc.value(part)
            line, column = at
            node = node[part]
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            line, column = node.lc.item(part)
            node = node[part]
        # A discriminator tag, or a field whose value is the short text form: stay where we are.
    return int(line) + 1, int(column) + 1

"""YAML text as plain values, and where in which file each of them stands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq, TaggedScalar
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from moteye.errors import PolicyErrors, Problem

# `<<` and `=` have a meaning in YAML 1.1; here they are texts.
_WORDS = ("tag:yaml.org,2002:merge", "tag:yaml.org,2002:value")
Path = tuple[str | int, ...]
MAX_DEPTH = 20
MAX_NODES = 20_000  # aliases of aliases grow without bound


@dataclass(frozen=True)
class Place:
    """File, line and column, both from 1."""

    file: str
    line: int
    column: int

    def problem(self, message: str, suggestion: str = "") -> Problem:
        """Something that is wrong here."""
        return Problem(self.file, self.line, self.column, message, suggestion)


@dataclass
class Source:
    """A plain value, and for the path of each value in it the places of its key and of itself."""

    value: Any
    places: dict[Path, tuple[Place, Place]] = field(default_factory=dict)

    def part(self, *path: str | int) -> "Source":
        """What stands at `path`, with its own paths."""
        value = self.value
        for step in path:
            value = value[step]
        size = len(path)
        inside = {at[size:]: place for at, place in self.places.items() if at[:size] == path}
        return Source(value, inside)

    def place(self, path: Path, *, at_key: bool = False) -> Place:
        """The place of the deepest part of `path` that is written down.

        A step that is not in the text, such as the name of a model, is passed over.
        """
        at: Path = ()
        found = self.places[()][1]
        for index, step in enumerate(path):
            if (*at, step) not in self.places:
                continue
            at = (*at, step)
            key, value = self.places[at]
            deeper = index < len(path) - 1 and isinstance(self._value(at), (dict, list))
            found = key if at_key or deeper else value
        return found

    def _value(self, path: Path) -> Any:
        value = self.value
        for step in path:
            value = value[step]
        return value


class _Constructor(RoundTripConstructor):
    """YAML's core schema has no dates: they are texts."""


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", _Constructor.construct_yaml_str)


def load_yaml(text: str, file: str) -> Source:
    """A YAML 1.2 document. Raises PolicyErrors."""
    yaml = YAML(typ="rt")
    yaml.version = (1, 2)
    yaml.Constructor = _Constructor
    try:
        tree = yaml.load(StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        reason = " ".join((error.problem or "not YAML").split())
        hint = "keep one of the two" if "duplicate key" in reason else ""
        raise PolicyErrors([Problem(file, line, column, reason, hint)]) from None
    except (YAMLError, ValueError, RecursionError) as error:  # control characters and the like
        reason = "nested too deep" if isinstance(error, RecursionError) else f"not YAML: {error}"
        raise PolicyErrors([Problem(file, 1, 1, reason)]) from None
    source = Source(None)
    top = Place(file, 1, 1)
    source.value = _walk(tree, (), (top, top), source.places)
    return source


def _walk(node: Any, at: Path, place: tuple[Place, Place], places: dict[Path, Any]) -> Any:
    """Ruamel's containers and scalars as plain Python; notes the place of each on the way."""
    places[at] = place
    if len(at) > MAX_DEPTH or len(places) > MAX_NODES:
        raise PolicyErrors([place[1].problem("nested too deep, or too large")])
    if isinstance(node, Mapping):
        return {
            _plain(key): _walk(value, (*at, _plain(key)), _places(node, key, place), places)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [
            _walk(value, (*at, index), _places(node, index, place), places)
            for index, value in enumerate(node)
        ]
    if isinstance(node, TaggedScalar):
        if str(node.tag.value) not in _WORDS:
            hint = "leave it out: every value is what it looks like"
            raise PolicyErrors([place[1].problem(f"a tag, {node.tag.value}", hint)])
        return str(node.value)
    return _plain(node)


def _places(node: Any, step: Any, around: tuple[Place, Place]) -> tuple[Place, Place]:
    """Places of key and value of an entry; those around it for one that a merge brought in."""
    file = around[1].file
    try:
        if isinstance(node, CommentedMap):
            key, value = node.lc.key(step), node.lc.value(step)
        elif isinstance(node, CommentedSeq):
            key = value = node.lc.item(step)
        else:
            return around
    except (KeyError, TypeError):
        return around
    return Place(file, key[0] + 1, key[1] + 1), Place(file, value[0] + 1, value[1] + 1)


def _plain(node: Any) -> Any:
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node

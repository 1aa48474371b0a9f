"""`variables:` and `${name}`: a value written once and used in many places."""

import difflib
import re
from collections.abc import Mapping

from moteye.core.language.source import Path, Source
from moteye.errors import Problem

# `$${` stands for a `${` that is meant as it is.
_USE = re.compile(r"\$\$\{|\$\{([^}]*)\}?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def substitute(source: Source, variables: Mapping[str, Source], problems: list[Problem]) -> Source:
    """`source` with the variables put in.

    A text that is nothing but `${name}` becomes the variable's value, of whatever kind, which keeps
    the place where it was written; within a longer text the value stands as text.
    """
    found = Source(None)
    found.value = _put(source, (), (), found, variables, problems, ())
    return found


def _put(
    source: Source,
    at: Path,
    into: Path,
    found: Source,
    variables: Mapping[str, Source],
    problems: list[Problem],
    using: tuple[str, ...],
) -> object:
    """Copy what stands at `at` in `source` to `into` in `found`; returns its value."""
    value = source.value
    for step in at:
        value = value[step]
    found.places[into] = source.places[at]
    if isinstance(value, dict):
        return {
            key: _put(source, (*at, key), (*into, key), found, variables, problems, using)
            for key in value
        }
    if isinstance(value, list):
        return [
            _put(source, (*at, n), (*into, n), found, variables, problems, using)
            for n in range(len(value))
        ]
    if not isinstance(value, str) or "${" not in value:
        return value
    whole = _USE.fullmatch(value)
    if whole and whole[1] is not None:
        name = _known(whole[1], source, at, variables, problems, using)
        if name is None:
            return value
        key_place = found.places[into][0]
        result = _put(variables[name], (), into, found, variables, problems, (*using, name))
        found.places[into] = (key_place, found.places[into][1])
        return result

    def text_of(match: re.Match[str]) -> str:
        if match[1] is None:
            return "${"
        name = _known(match[1], source, at, variables, problems, using)
        if name is None:
            return match[0]
        inner = _put(variables[name], (), (), Source(None), variables, problems, (*using, name))
        if not isinstance(inner, (str, int, float)) or isinstance(inner, bool):
            place = source.places[at][1]
            hint = "alone it may be anything, within a text only a text or a number"
            problems.append(place.problem(f"${{{name}}} is no text", hint))
            return match[0]
        return str(inner)

    return _USE.sub(text_of, value)


def _known(
    name: str,
    source: Source,
    at: Path,
    variables: Mapping[str, Source],
    problems: list[Problem],
    using: tuple[str, ...],
) -> str | None:
    place = source.places[at][1]
    if not _NAME.fullmatch(name):
        hint = "${name}, or $${ for a text that has ${ in it"
        problems.append(place.problem("`${` without the name of a variable", hint))
    elif name in using:
        chain = " -> ".join((*using, name))
        problems.append(place.problem(f"variable {name!r} stands for itself: {chain}"))
    elif name not in variables:
        close = difflib.get_close_matches(name, variables, n=1)
        known = ", ".join(variables) or "none; write variables: {" + name + ": …}"
        hint = f"did you mean {close[0]}?" if close else f"known here: {known}"
        problems.append(place.problem(f"no variable is called {name!r}", hint))
    else:
        return name
    return None

"""Names that a file may use: its own, those of the files that it includes, those of the site."""

from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import ValidationError

from moteye.core.language.messages import problems_of
from moteye.core.language.places import Definitions, Group, Zone
from moteye.core.language.source import Place, Source, load_yaml
from moteye.core.language.values import closest
from moteye.core.language.variables import substitute
from moteye.errors import PolicyErrors, Problem

Read = Callable[[str, str], tuple[str, str]]
_INCLUDED = ("variables", "groups", "zones", "include", "description")


@dataclass
class Names:
    """Variables as they were written, groups and zones.

    `unsure`: something that was to define names is broken, so a name that is missing may be there.
    """

    unsure: bool = False
    variables: dict[str, Source] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    zones: dict[str, Zone] = field(default_factory=dict)

    def take(self, other: "Names") -> None:
        """Add the names of `other`, which win over those that are there."""
        self.unsure |= other.unsure
        self.variables |= other.variables
        self.groups |= other.groups
        self.zones |= other.zones


def names_of(
    source: Source, file: str, read: Read | None, problems: list[Problem], *, site: str = ""
) -> Names:
    """The names that `source` defines, over those it includes, over those of the site."""
    names = Names()
    if site and read is not None:
        names.take(_included(site, file, Place(file, 1, 1), read, problems, (file,)))
    names.take(_own(source, file, read, problems, (file,)))
    return names


def _own(
    source: Source, file: str, read: Read | None, problems: list[Problem], chain: tuple[str, ...]
) -> Names:
    names = Names()
    include = source.value.get("include", [])
    many = isinstance(include, list)
    for index, name in enumerate(include if many else [include]):
        place = source.place(("include", index) if many else ("include",))
        if not isinstance(name, str) or read is None:
            problems.append(place.problem(f"{name!r} is not a file", "include: common.yaml"))
        else:
            names.take(_included(name, file, place, read, problems, chain))
    names.variables |= _variables(source, problems)
    wanted = {key: source.value[key] for key in ("groups", "zones") if key in source.value}
    if wanted:
        part = Source(wanted, source.places)
        part = substitute(part, names.variables, [] if names.unsure else problems)
        try:
            found = Definitions.model_validate(part.value)
        except ValidationError as error:
            problems += problems_of(part, error)
            names.unsure = True
        else:
            for name, group in found.groups.items():
                names.groups[name] = group.model_copy(update={"name": name})
            for name, zone in found.zones.items():
                names.zones[name] = zone.model_copy(update={"name": name})
    return names


def _variables(source: Source, problems: list[Problem]) -> dict[str, Source]:
    found = source.value.get("variables", {})
    if not isinstance(found, dict):
        hint = "variables: {phone: home/phone}"
        problems.append(source.place(("variables",)).problem("variables: a map is wanted", hint))
        return {}
    return {str(name): source.part("variables", name) for name in found}


def _included(
    name: str,
    file: str,
    place: Place,
    read: Read,
    problems: list[Problem],
    chain: tuple[str, ...],
) -> Names:
    try:
        path, text = read(name, file)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        problems.append(place.problem(f"{name} cannot be read: {reason}", "a path from this file"))
        return Names(unsure=True)
    if path in chain:
        problems.append(place.problem(f"{name} includes itself: {' -> '.join((*chain, path))}"))
        return Names()
    try:
        source = load_yaml(text, path)
    except PolicyErrors as error:
        problems += error.problems
        return Names(unsure=True)
    if source.value is None:
        return Names()
    if not isinstance(source.value, dict):
        problems.append(source.place(()).problem("a map of definitions is wanted"))
        return Names()
    for key in source.value:
        if key not in _INCLUDED:
            hint = closest(key, _INCLUDED, "a file that others include holds definitions only")
            at = source.place((key,), at_key=True)
            problems.append(at.problem(f"unknown key {key!r} in an included file", hint))
    return _own(source, path, read, problems, (*chain, path))

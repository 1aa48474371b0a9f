"""Text of a YAML file in, checked policies or a list of problems out.

YAML 1.2 core schema (so `no` is a word), no duplicate keys, durations only as strings with a unit.
A file holds one policy, or several under `policies:`, or only definitions for others to include.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from moteye.core.language.definitions import Names, names_of
from moteye.core.language.messages import problems_of
from moteye.core.language.policy import Policy
from moteye.core.language.source import Source, load_yaml
from moteye.core.language.values import closest
from moteye.core.language.variables import substitute
from moteye.errors import PolicyErrors, Problem

DEFINING = ("variables", "groups", "zones", "include")
Read = Callable[[str, str], tuple[str, str]]


@dataclass(frozen=True)
class Written:
    """A policy, the text that it was made of with the places in it, and the names it may use."""

    policy: Policy
    source: Source
    names: Names


def parse_policy(text: str, path: str, default_name: str) -> Policy:
    """The one policy in the YAML `text`; `path` is for messages only.

    Raises PolicyErrors with every problem found, each with line, column and, where there is one,
    a suggestion.
    """
    found = parse_file(text, path, default_name)
    if len(found) != 1:
        problem = Problem(path, 1, 1, f"{len(found)} policies where one is wanted")
        raise PolicyErrors([problem])
    return found[0].policy


def parse_file(
    text: str, path: str, default_name: str, read: Read | None = None, site: str = ""
) -> list[Written]:
    """All policies of a file. None where it holds only definitions.

    `read(name, path)` gives the path and the text of a file that `path` includes; raises OSError.
    `site` names a file that is included by all. Raises PolicyErrors as `parse_policy` does.
    """
    source = load_yaml(text, path)
    if not isinstance(source.value, dict) or not source.value:
        raise PolicyErrors([Problem(path, 1, 1, "a policy is a map", "start with: see: a cat")])
    problems: list[Problem] = []
    names = names_of(source, path, read, problems, site=site)
    own = {key: value for key, value in source.value.items() if key not in DEFINING}
    found = []
    if "policies" in own:
        problems += [_misplaced(source, key) for key in own if key != "policies"]
        several = own["policies"]
        if isinstance(several, dict) and several:
            for name in several:
                part = source.part("policies", name)
                found += _policy(part, str(name), names, problems)
        else:
            hint = "policies: {cat: {see: a cat, then: [log]}}"
            problems.append(
                source.place(("policies",)).problem("a map of policies is wanted", hint)
            )
    elif own or not any(key in source.value for key in DEFINING):
        whole = Source(own, source.places)
        found = _policy(whole, default_name, names, problems)
    if problems:
        raise PolicyErrors(sorted(set(problems), key=lambda p: (p.path, p.line, p.column)))
    return found


def _misplaced(source: Source, key: str) -> Problem:
    known = ("policies", *DEFINING)
    hint = closest(key, known, "beside policies: stand " + ", ".join(DEFINING))
    return source.place((key,), at_key=True).problem(f"unknown key {key!r}", hint)


def _policy(
    source: Source, default_name: str, names: Names, problems: list[Problem]
) -> list[Written]:
    """One policy, or none and its problems."""
    wrong = len(problems)
    if not isinstance(source.value, dict):
        problems.append(source.place(()).problem("a policy is a map", "start with: see: a cat"))
        return []
    missing: list[Problem] = []
    source = substitute(source, names.variables, missing)
    problems += [] if names.unsure else missing
    not_put_in = {(p.path, p.line, p.column) for p in missing}
    values: dict[str, Any] = dict(source.value)
    if "in" in values:
        values["in"] = _zones(values["in"], source, names, problems)
    if "cameras" in values:
        values["cameras"] = _cameras(values["cameras"], names)
    try:
        policy = Policy.model_validate({"name": default_name, **values})
    except ValidationError as error:
        # What stands where a variable was to be put in is a mistake only once.
        found = problems_of(source, error)
        problems += [p for p in found if (p.path, p.line, p.column) not in not_put_in]
        return []
    return [Written(policy, source, names)] if len(problems) == wrong and not missing else []


def _zones(value: Any, source: Source, names: Names, problems: list[Problem]) -> Any:
    """Names of zones as the zones."""
    many = isinstance(value, list)
    found: list[Any] = []
    for index, name in enumerate(value if many else [value]):
        if isinstance(name, str) and name in names.zones:
            found.append(names.zones[name])
        elif isinstance(name, str) and names.unsure:
            return []
        elif isinstance(name, str):
            hint = closest(name, names.zones, "" if names.zones else "name it under zones:")
            place = source.place(("in", index) if many else ("in",))
            problems.append(place.problem(f"no zone is called {name!r}", hint))
        else:
            found.append(name)
    return found


def _cameras(value: Any, names: Names) -> Any:
    """Names of groups as the groups; all other texts are ids of devices."""
    if not isinstance(value, (str, list)):
        return value
    values: list[Any] = value if isinstance(value, list) else [value]
    return [names.groups.get(one, one) if isinstance(one, str) else one for one in values]


def check_together(found: list[Written], beside: Sequence[Written] = ()) -> list[Problem]:
    """What is wrong between policies: names that are taken, policies that `while` does not find.

    Policies `beside` them are there to be found, and take no name.
    """
    problems = []
    taken: dict[str, Written] = {}
    for one in found:
        name = one.policy.name
        place = one.source.place(("name",) if "name" in one.source.value else (), at_key=True)
        if name in taken:
            other = taken[name].source.place(()).file
            problems.append(
                place.problem(f"name {name!r} is taken by {other}", "say another name:")
            )
        taken.setdefault(name, one)
    for one in beside:
        taken.setdefault(one.policy.name, one)
    for one in found:
        states = one.policy.hours.policy if one.policy.hours else []
        for index, state in enumerate(states):
            place = one.source.place(("while", "policy", index, "name"))
            if state.name not in taken:
                hint = closest(state.name, taken)
                problems.append(place.problem(f"no policy is called {state.name!r}", hint))
            elif state.name == one.policy.name:
                problems.append(place.problem("a policy cannot wait for itself", "name another"))
    return problems

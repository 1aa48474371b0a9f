"""Text of a YAML file in, a checked `Policy` or a list of problems out.

YAML 1.2 core schema (so `no` is a word), no duplicate keys, durations only as strings with a unit.
"""

from pydantic import ValidationError
from ruamel.yaml.comments import CommentedMap

from moteye.core.language.messages import problem_of
from moteye.core.language.policy import Policy
from moteye.core.language.source import load_yaml, plain
from moteye.errors import PolicyErrors, Problem


def parse_policy(text: str, path: str, default_name: str) -> Policy:
    """The policy in the YAML `text`; `path` is for messages only.

    Raises PolicyErrors with every problem found, each with line, column and, where there is one,
    a suggestion.
    """
    tree = load_yaml(text, path)
    if not isinstance(tree, CommentedMap):
        raise PolicyErrors([Problem(path, 1, 1, "a policy is a map", "start with: see: a cat")])
    try:
        return Policy.model_validate({"name": default_name, **plain(tree)})
    except ValidationError as error:
        problems = [problem_of(path, tree, found) for found in error.errors()]
        raise PolicyErrors(sorted(problems, key=lambda p: (p.line, p.column))) from None

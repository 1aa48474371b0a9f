"""Templates: Jinja's sandbox with a list of what is allowed. Data is never a template.

Nothing in a template may take long or grow large: no macros, no calls, no powers, one loop over
`alerts`, and filters from a list.
"""

import difflib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_TEMPLATE_CHARS = 8_192
MAX_DEPTH = 12  # the compiler takes seconds for a chain of a hundred filters
EVENT_NAMES = (
    *("id", "tag", "event", "policy", "camera", "phrase", "severity", "probability", "margin"),
    *(
        "threshold",
        "time",
        "frame",
        "picture",
        "duration_s",
        "caption",
        "caption_age_s",
        "count",
        "alerts",
    ),
)
_FILTERS = (
    *("upper", "lower", "title", "capitalize", "trim", "truncate", "round", "int", "float"),
    *("default", "length", "join", "tojson", "first", "last", "urlencode"),
)
_TESTS = ("defined", "none", "number", "string", "equalto", "even", "odd")
_NODES = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr),
    *(nodes.Getitem, nodes.Filter, nodes.Test, nodes.If, nodes.For, nodes.CondExpr, nodes.Compare),
    *(nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Concat, nodes.Add, nodes.Sub),
    *(nodes.Mul, nodes.Div, nodes.Neg, nodes.Keyword, nodes.List, nodes.Tuple),
)


class _Sandbox(ImmutableSandboxedEnvironment):
    """`*` and the like take numbers only: a text times a number may be any size."""

    intercepted_binops = frozenset({"*", "+", "-", "/"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if not all(isinstance(side, (int, float)) for side in (left, right)):
            raise TemplateError(f"{operator} is for numbers; texts are joined by ~")
        return super().call_binop(context, operator, left, right)


_ENVIRONMENT = _Sandbox(autoescape=False)
_ENVIRONMENT.filters = {name: _ENVIRONMENT.filters[name] for name in _FILTERS}
_ENVIRONMENT.tests = {name: _ENVIRONMENT.tests[name] for name in _TESTS}
_ENVIRONMENT.globals = {}


def check_template(text: str) -> None:
    """Raise ValueError, `reason|suggestion`, for a template that could not be filled in."""
    if len(text) > MAX_TEMPLATE_CHARS:
        raise ValueError(f"a template has at most {MAX_TEMPLATE_CHARS:,} characters|make it short")
    try:
        tree = _ENVIRONMENT.parse(text)
    except (TemplateSyntaxError, RecursionError) as error:
        reason = error.message if isinstance(error, TemplateSyntaxError) else "nested too deep"
        raise ValueError(f"not a template: {reason}|for example {{{{ phrase }}}}") from None
    if _depth(tree) > MAX_DEPTH:
        raise ValueError("a template is nested too deep|fewer filters and brackets in one place")
    own = {node.name for node in tree.find_all(nodes.Name) if node.ctx == "store"}
    own |= {"loop"} if tree.find(nodes.For) else set()
    loops = 0
    for node in _all(tree):
        if not isinstance(node, _NODES):
            word = type(node).__name__.lower()
            raise ValueError(f"{word} is not allowed in a template|values, filters, if and for")
        if isinstance(node, nodes.For):
            loops += 1
            if loops > 1 or not isinstance(node.iter, nodes.Name) or node.iter.name != "alerts":
                raise ValueError("a loop goes over the alerts, once|{% for a in alerts %}")
        if isinstance(node, nodes.Filter):
            _known("filter", node.name, _FILTERS)
        if isinstance(node, nodes.Test):
            _known("test", node.name, _TESTS)
        if isinstance(node, nodes.Name) and node.name not in own:
            _known("value", node.name, EVENT_NAMES)
        if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
            raise ValueError(f"{node.attr!r} is not allowed in a template|values of the event")


def _depth(tree: nodes.Node) -> int:
    depth, level = 0, [tree]
    while level:
        depth, level = depth + 1, [child for node in level for child in node.iter_child_nodes()]
    return depth


def _all(node: nodes.Node) -> list[nodes.Node]:
    return [node, *(inner for child in node.iter_child_nodes() for inner in _all(child))]


def _known(kind: str, name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}?" if close else "one of " + ", ".join(names)
        raise ValueError(f"a template knows no {kind} {name!r}|{hint}")


@lru_cache(512)
def _compiled(text: str) -> Any:
    check_template(text)
    return _ENVIRONMENT.from_string(text)


def pieces(text: str, values: Mapping[str, Any]) -> Iterator[str]:
    """`text` filled in with `values`, piece by piece. Raises ValueError when it does not work."""
    try:
        yield from _compiled(text).generate(**values)
    except (TemplateError, TypeError, ArithmeticError) as error:
        raise ValueError(str(error)) from error

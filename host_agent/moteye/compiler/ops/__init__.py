"""Lowering, one file an operator.

A file here or in `custom/` names what it lowers in `LOWERS`; nothing else knows the operators. A
new one brings such a file, a record kind and a kernel (device/kernels/model_operator.h).
"""

import importlib
import pkgutil
from collections.abc import Callable

from ..reader import Graph, Op
from ..record import Record
from . import custom

Lower = Callable[[Graph, Op], Record | list[Record]]


def _collect() -> dict[str, Lower]:
    found: dict[str, Lower] = {}
    for package, path in ((__name__, __path__), (custom.__name__, custom.__path__)):
        for module in pkgutil.iter_modules(path):
            lowers = getattr(importlib.import_module(f"{package}.{module.name}"), "LOWERS", {})
            found |= lowers
    return dict(sorted(found.items()))


REGISTRY: dict[str, Lower] = _collect()


def register(kind: str, lower: Lower) -> None:
    """Add an operator that lives outside this package: a built-in's name, or a custom code."""
    REGISTRY[kind] = lower


def lower_op(graph: Graph, op: Op) -> list[Record]:
    """The records of one operator, in the order in which they run.

    Raises ModelError for one that is not in the registry, or not in a form that can be run.
    """
    lower = REGISTRY.get(op.kind)
    if lower is None:
        known = ", ".join(sorted(REGISTRY))
        raise graph.fault(op, op.outputs[0], f"operator not supported (supported: {known})")
    records = lower(graph, op)
    return records if isinstance(records, list) else [records]

"""moteye: a camera that knows words. The agent, and `events` for programs that listen to it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moteye.client import events

import os

# The products are small: on one core they take a tenth of what threads take that wait for others.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"
__all__ = ["__version__", "events"]


def __getattr__(name: str) -> Any:
    """`events` is imported when it is used: the agent does not need it."""
    if name == "events":
        from moteye.client import events

        return events
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

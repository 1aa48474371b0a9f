"""Python's collector of cycles, told how a process lives that keeps most of what it makes."""

import gc

_YOUNG, _MIDDLE, _OLD = 50_000, 20, 50


def collect_seldom() -> None:
    """Once all is loaded: look through what is new only, and that less often.

    Looking through all tracks of thousands of cameras would hold up an alert for a tenth of a
    second again and again, and find nothing: they hold no cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)

"""The interpreter, told how a process lives that keeps most of what it makes and answers soon."""

import gc
import sys

_YOUNG, _MIDDLE, _OLD = 50_000, 20, 50
_TURN_S = 0.0005


def collect_seldom() -> None:
    """Once all is loaded: look through what is new only, and that less often.

    Looking through all tracks of thousands of cameras would hold up an alert for a tenth of a
    second again and again, and find nothing: they hold no cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)


def take_turns_often() -> None:
    """Let threads take turns ten times as often as Python does by itself.

    The store's thread gives up its turn at each call into the database, and an alert waits until it
    has had it again a dozen times: beside a busy loop at 5 ms each.
    """
    sys.setswitchinterval(_TURN_S)

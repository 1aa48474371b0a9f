# Time: ticks, milliseconds since start, and unix time where the device knows it.
import time

try:
    from time import ticks_diff, ticks_ms
except ImportError:

    def ticks_ms():
        return time.monotonic_ns() // 1000000

    def ticks_diff(after, before):
        return after - before


# Unix time outside of these bounds means that nobody has set the clock (T19): 2025 .. 2055.
_FIRST_S = 1735689600
_LAST_S = 2682374400

# Some ports count from 2000 (T18).
_EPOCH_S = 0 if time.gmtime(0)[0] == 1970 else 946684800


# Milliseconds since it was made. ticks_ms wraps on small boards, so it must be asked once in a few
# days.
class Uptime:
    def __init__(self):
        self._last = ticks_ms()
        self._ms = 0

    def ms(self):
        now = ticks_ms()
        self._ms += ticks_diff(now, self._last)
        self._last = now
        return self._ms


# Unix time in ms, or None.
def unix_ms():
    now = time.time_ns() // 1000000 + _EPOCH_S * 1000
    if _FIRST_S * 1000 <= now < _LAST_S * 1000:
        return now
    return None

"""The device's time: epochs (T18), bad clocks (T19)."""

import importlib.util
import sys
import time
import types
from pathlib import Path

import pytest

CLOCK = Path(__file__).resolve().parents[3] / "device" / "firmware" / "clock.py"
NOW_S = 1_790_000_000
EPOCH_2000_S = 946_684_800


def clock(monkeypatch, *, year, now_s):
    """The module on a port that counts from `year`, at unix time `now_s`."""
    port = types.ModuleType("time")
    epoch_s = EPOCH_2000_S if year == 2000 else 0
    port.gmtime = lambda seconds: time.gmtime(seconds + epoch_s)
    port.time_ns = lambda: (now_s - epoch_s) * 1_000_000_000
    port.ticks = 0
    port.ticks_ms = lambda: port.ticks
    port.ticks_diff = lambda after, before: (after - before + (1 << 29)) % (1 << 30) - (1 << 29)
    spec = importlib.util.spec_from_file_location("port_clock", CLOCK)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "time", port)
    spec.loader.exec_module(module)
    module.port = port
    return module


@pytest.mark.parametrize("year", [1970, 2000])
def test_t18_both_epochs_give_unix_time(monkeypatch, year):
    assert clock(monkeypatch, year=year, now_s=NOW_S).unix_ms() == NOW_S * 1000


@pytest.mark.parametrize("year", [1970, 2000])
@pytest.mark.parametrize(
    "now_s",
    [EPOCH_2000_S, EPOCH_2000_S + 60, 0, 60, 1_600_000_000, 3_200_000_000],
    ids=["2000", "2000 and a minute", "1970", "1970 and a minute", "2020", "2071"],
)
def test_t19_a_clock_that_nobody_set_says_nothing(monkeypatch, year, now_s):
    assert clock(monkeypatch, year=year, now_s=now_s).unix_ms() is None


def test_t19_uptime_is_not_moved_by_the_clock_and_survives_the_wrap_of_ticks(monkeypatch):
    module = clock(monkeypatch, year=1970, now_s=NOW_S)
    uptime = module.Uptime()
    told = []
    for _ in range(100):
        module.port.time_ns = lambda: 0
        module.port.ticks = (module.port.ticks + 100_000_000) % (1 << 30)
        told.append(uptime.ms())
    assert told == [100_000_000 * (step + 1) for step in range(100)]

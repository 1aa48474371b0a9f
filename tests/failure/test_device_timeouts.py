"""In the real MicroPython: ten thousand deadlines at random moments, on a clock that is virtual."""

import re
import subprocess

from moteye.resources import checkout

ROOT = checkout()
TIMEOUTS = 10_000
SEED = 1
HEAP = "448k"  # the compiled firmware is in it, too: here it is read as source
GROWTH_BYTES = 2048  # of the lists that are full at some moments and not at others


def test_t63_ten_thousand_timeouts_lose_no_byte_and_leave_no_task():
    firmware = f"{ROOT / 'device' / 'firmware'}:{ROOT / 'protocol'}:.frozen"
    micropython = ROOT / "build" / "firmware" / "unix" / "micropython"
    script = ROOT / "tests" / "failure" / "device_timeouts.py"
    done = subprocess.run(
        [micropython, "-X", f"heapsize={HEAP}", script, str(TIMEOUTS), str(SEED)],
        capture_output=True,
        text=True,
        timeout=110,
        env={"MICROPYPATH": firmware},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    numbers = [int(word) for word in re.findall(r"-?\d+", done.stdout)]
    timeouts, commands, messages, _, grown = numbers
    assert timeouts >= TIMEOUTS
    assert min(commands, messages) > TIMEOUTS // 5
    assert grown < GROWTH_BYTES

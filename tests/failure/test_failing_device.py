"""In the real MicroPython: each operation of the line fails in turn, and memory runs out."""

import os
import subprocess

from moteye.resources import checkout
from power.scenarios import ENCODER, GOOD

ROOT = checkout()
HEAP = "448k"  # the compiled firmware is in it, too: here it is read as source
STEP_BYTES = 64 if os.environ.get("MOTEYE_SWEEP") == "all" else 480
SCRIPT = ROOT / "tests" / "failure" / "device_failing.py"


def test_device_survives_each_failure_of_its_line_and_of_its_memory(tmp_path):
    path = tmp_path / "set.meps"
    path.write_bytes(GOOD[1])
    firmware = f"{ROOT / 'device' / 'firmware'}:{ROOT / 'protocol'}:.frozen"
    micropython = ROOT / "build" / "firmware" / "unix" / "micropython"
    command = [micropython, "-X", f"heapsize={HEAP}", SCRIPT, path, ENCODER.hex()]
    done = subprocess.run(
        [*map(str, command), str(STEP_BYTES)],
        capture_output=True,
        text=True,
        timeout=600,
        env={"MICROPYPATH": firmware},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    line = next(line for line in done.stdout.splitlines() if "operations failed in turn" in line)
    assert int(line.split("line: ")[1].split()[0]) > 20
    last = done.stdout.splitlines()[-1]
    tried, starved = (int(word) for word in last.split() if word.isdigit())
    assert 0 < starved < tried

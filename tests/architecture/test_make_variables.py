"""What is said to `make` on the command line is in the environment of every build below it."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MEANT = {"PORT", "PYTHON"}  # what a build shall take over
USED = re.compile(r"\$[({]([A-Z][A-Z_]*)")


def variables(path):
    return set(USED.findall(path.read_text()))


def test_builds_of_the_firmware_read_none_of_the_top_levels_variables():
    said = variables(ROOT / "Makefile") - MEANT
    assert {"CAPTIONS", "ONCE", "DEVICE"} <= said
    assert {"CAPTIONS", "DEVICE"} <= said
    scripts = sorted((ROOT / "device" / "ports").rglob("*.sh"))
    assert len(scripts) > 2
    assert {str(path): both for path in scripts if (both := variables(path) & said)} == {}

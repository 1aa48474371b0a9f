"""What is said to `make` on the command line reaches every build below it, by name."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
OF_A_PORT = {"PORT", "BIN", "VENV"}  # what the top level hands down on purpose
USED = re.compile(r"\$[({]([A-Z][A-Z_]*)")


def variables(path):
    return set(USED.findall(path.read_text()))


def test_builds_of_the_firmware_read_none_of_the_top_levels_variables():
    said = variables(ROOT / "Makefile") - OF_A_PORT - {"MAKE", "MAKEFILE_LIST", "CURDIR"}
    assert {"CAPTIONS", "ONCE", "DEVICE"} <= said
    files = [
        path
        for folder in (ROOT / "device" / "ports", ROOT / "device" / "modules")
        for path in folder.rglob("*")
        if path.name == "Makefile" or path.suffix in (".mk", ".sh")
    ]
    assert len(files) > 5
    assert {str(path): both for path in files if (both := variables(path) & said)} == {}

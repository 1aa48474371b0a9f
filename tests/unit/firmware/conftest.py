"""Firmware modules without hardware run under CPython, too."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "device" / "firmware"))

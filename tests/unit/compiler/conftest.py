"""The compiler's tests share the builders and the C runtime of the device's."""

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[3]
for _folder in ("tests/unit/device", "host_agent", "protocol"):
    sys.path.insert(0, str(_ROOT / _folder))

"""Fixtures of the device's C: kernels through ctypes, and the simulated device's MicroPython."""

import subprocess
import sys
from pathlib import Path

import pytest

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parents[2]
for _folder in (_HERE, _ROOT / "host_agent", _ROOT / "protocol"):
    sys.path.insert(0, str(_folder))

from kernel_library import Kernels  # noqa: E402


@pytest.fixture(scope="session")
def kernels() -> Kernels:
    return Kernels()


@pytest.fixture(scope="session", params=["plain", "x86"])
def each_kernels(request: pytest.FixtureRequest) -> Kernels:
    """Plain C, then what this machine's processor is given."""
    return Kernels(plain=request.param == "plain")


@pytest.fixture(scope="session")
def micropython() -> Path:
    """The simulated device's interpreter, built if it is not."""
    subprocess.run(["make", "-s", "-C", str(_ROOT / "device" / "ports" / "unix")], check=True)
    return _ROOT / "build" / "firmware" / "unix" / "micropython"

"""Fixtures of the tests on emulated boards."""

import subprocess

import pytest
from moteye.camera.emulate import MACHINES
from moteye.resources import checkout
from system.ports.board_bench import BUILD_S


@pytest.fixture(scope="session", params=MACHINES)
def port(request):
    """Each emulated port, its image built if it is not."""
    folder = checkout() / "device" / "ports" / request.param
    subprocess.run(["make", "-s", "-C", str(folder)], check=True, timeout=BUILD_S)
    return request.param

"""Fixtures of the tests on emulated boards."""

import pytest
from moteye.camera.emulate import MACHINES
from support.boards import build


@pytest.fixture(scope="session", params=MACHINES)
def port(request):
    """Each emulated port, its image built if it is not."""
    build(request.param)
    return request.param

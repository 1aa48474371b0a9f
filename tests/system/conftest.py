"""Fixtures of all system tests."""

from collections.abc import AsyncIterator

import pytest
from support.live import Mosquitto


@pytest.fixture
async def mosquitto(tmp_path) -> AsyncIterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    await broker.start()
    yield broker
    await broker.stop()

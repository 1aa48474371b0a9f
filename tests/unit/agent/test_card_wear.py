"""T56: what a day writes to a memory card, and the metric that shows it."""

import random
from pathlib import Path

import numpy as np
import pytest
from moteye.core.language import parse_policy
from moteye.service import storage_written_bytes
from moteye.store import Store
from moteye.text.space import load_space
from unit.agent.test_feedback import Watched

CAMERAS = 4
HEARTBEATS_A_DAY = 1440  # a camera sends one a minute where nothing changes
CHANGES_A_DAY = 500
SHARE = 10  # a tenth of the day is played, and counts so many times
MB_A_DAY = 200  # what docs/decisions.md states


def said_to_write() -> int:
    """Bytes that this process handed to `write` calls, whatever the file system."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("wchar:")).split()[1])


@pytest.fixture(scope="module")
def space():
    return load_space()


async def test_t56_a_day_of_four_cameras_writes_no_more_than_stated(tmp_path, space):
    text = "see: a cat\ncooldown: 5m\nthen: [log]\n"
    compiled = space.compile([parse_policy(text, "cat", "cat")], number=1, dim=64)
    margins = compiled.scorer.margins_q8(space.background.embeddings)[:, 0]
    order = np.argsort(margins)
    rows = space.background.embeddings
    usual, cat = [rows[at].tobytes() for at in order[500:600]], rows[order[-1]].tobytes()
    watched = Watched(tmp_path, space, compiled)
    await watched.begin()
    rng = random.Random(56)
    events = CAMERAS * (HEARTBEATS_A_DAY + CHANGES_A_DAY) // SHARE
    store = watched.agent.ledger
    before = said_to_write()
    for number in range(events):  # each alone, as they come: nothing shares its transaction
        await watched.look(cat if number % 50 < 3 else rng.choice(usual), 1)
        if number % (events * SHARE // 144) == 0:  # every ten minutes
            await store.ask(Store.checkpoint)
    await store.ask(Store.checkpoint)
    written = said_to_write() - before
    await store.close()
    recorded = sum(event.is_embedding for event in Store(watched.url).events())
    assert recorded == events
    a_day = written * SHARE / 1e6
    print(f"{a_day:.0f} MB a day: {events * SHARE} events, {written / events:.0f} B each")
    assert 1 < a_day <= MB_A_DAY


def test_t56_the_metric_is_what_the_kernel_counts(tmp_path):
    assert storage_written_bytes() >= 0
    (tmp_path / "io").write_text("rchar: 1\nwchar: 2\nwrite_bytes: 4096\n")
    assert storage_written_bytes(tmp_path) == 4096
    assert storage_written_bytes(tmp_path / "nowhere") == 0

"""A short soak; `make soak` runs the long one."""

from soak.soak import soak

FRAMES = 2000
RECONNECTS = 12
WARMING_UP_BYTES = 8192  # caches and the window of answers fill in the first minutes


async def test_t61_t62_memory_stays_flat_over_reconnects_swaps_and_frames(tmp_path, monkeypatch):
    monkeypatch.setattr("soak.soak.MAX_GROWTH_BYTES", WARMING_UP_BYTES)
    report = await soak(tmp_path, frames=FRAMES, reconnects=RECONNECTS)
    assert report.problems == []
    assert report.frames >= FRAMES
    assert report.reconnects >= RECONNECTS
    assert report.swaps == report.reconnects // 5

"""A camera's own background: what is kept of it, and the maps that follow."""

import numpy as np
import pytest
from moteye.core.background import (
    LEAST_USUAL,
    ROWS,
    CameraCalibration,
    Reservoir,
    fit_map,
    mapped_q8,
)
from moteye.core.calibration import fit_tail


def test_a_reservoir_is_bounded_fair_and_the_same_every_time():
    one, other = Reservoir(), Reservoir()
    fits = [n for n in range(1, 6000) if one.add(n.to_bytes(2, "big") * 128)]
    for n in range(1, 6000):
        other.add(n.to_bytes(2, "big") * 128)
    assert one == other
    assert one.embeddings.shape == (ROWS, 256)
    kept = np.array([int.from_bytes(row[:2], "big") for row in one.rows])
    assert 0.35 < (kept > 3000).mean() < 0.75
    assert fits[:6] == [40, 80, 160, 320, 640, 1280]


@pytest.mark.parametrize(("shift", "spread"), [(300, 1.0), (-200, 1.6), (0, 0.5), (450, 1.5)])
def test_mapped_margins_lie_where_the_banks_do(shift, spread):
    rng = np.random.default_rng(0)
    bank = rng.gumbel(-900, 200, 2000).astype(np.int16)
    camera = (-900 + shift + spread * rng.gumbel(0, 200, 600)).astype(np.int16)
    limit = int(fit_tail(bank).quantile(1e-3))
    mult, offset = fit_map(bank, camera, limit)
    fresh = (-900 + shift + spread * rng.gumbel(0, 200, 200_000)).astype(np.int16)
    mapped = mapped_q8(fresh[:, None], np.array([mult]), np.array([offset]))[:, 0]
    assert (mapped <= fresh).all()
    raw, own = (fresh >= limit).mean(), (mapped >= limit).mean()
    assert own <= 3e-3, (raw, own)


def test_few_frames_change_nothing():
    bank = np.arange(-1000, 0, dtype=np.int16)
    assert fit_map(bank, np.full(LEAST_USUAL - 1, 5, np.int16), 900) == (4096, 0)
    assert fit_map(bank, np.full(5000, 950, np.int16), 900) == (4096, 0), "always seen: not known"


def test_a_calibration_goes_through_the_recording():
    one = CameraCalibration("cam", 3, 400, {"a cat": (4096, -20), "é": (2048, 7)})
    assert CameraCalibration.of_json(one.json()) == one
    assert str(one) == "calibration 3 of this camera, from 400 frames"

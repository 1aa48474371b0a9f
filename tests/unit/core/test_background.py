"""A camera's own background: what is kept of it, and the maps that follow."""

import numpy as np
import pytest
from moteye.core import background
from moteye.core.background import (
    LEAST_USUAL,
    ROWS,
    Calibrations,
    CameraCalibration,
    Reservoir,
    bank_shape,
    fit_maps,
    mapped_q8,
)
from moteye.core.calibration import fit_tail
from moteye.core.cameras import Cameras


def test_a_reservoir_is_bounded_fair_and_the_same_every_time():
    one, other = Reservoir(), Reservoir()
    fits = [n for n in range(1, 6000) if one.add(n.to_bytes(2, "big") * 128)]
    for n in range(1, 6000):
        other.add(n.to_bytes(2, "big") * 128)
    assert one == other
    assert one.embeddings.shape == (ROWS, 256)
    kept = one.embeddings[:, :2].view(np.uint8).astype(int) @ [256, 1]
    assert 0.35 < (kept > 3000).mean() < 0.75
    assert fits[:6] == [40, 80, 160, 320, 640, 1280]


def test_cameras_together_keep_no_more_than_a_fleet_may_however_long_they_watch(monkeypatch):
    monkeypatch.setattr(background, "FLEET_ROWS", 4000)
    cameras, rng = Cameras(), np.random.default_rng(0)
    frames = rng.integers(-128, 128, (600, 256), np.int8)
    for count in (1, 8, 40, 100):
        for frame in frames:
            seen = ((f"cam{number}", frame.tobytes(), b"") for number in range(count))
            cameras.saw(seen, width=64)
        sizes = {len(one) for one in cameras.reservoirs.values()}
        assert sizes == {max(64, min(512, 4000 // count))}
        assert sum(len(one.data) for one in cameras.reservoirs.values()) <= 64 * max(
            4000, 64 * count
        )
    kept = cameras.reservoirs["cam0"].embeddings
    assert all((frames[:, :64] == row).all(axis=1).any() for row in kept[:5])


def test_a_frame_that_showed_the_thing_is_taken_out_by_what_is_kept_of_it():
    frames = np.random.default_rng(0).integers(-128, 128, (50, 256), np.int8)
    cameras = Cameras()
    cameras.saw((("cam", frame.tobytes(), b"") for frame in frames), width=64)
    cameras.due.clear()
    cameras.showed("cam", frames[7].tobytes())
    cameras.showed("cam", bytes(256))
    kept = cameras.reservoirs["cam"].embeddings
    assert (kept == np.delete(frames, 7, axis=0)[:, :64]).all()
    assert list(cameras.due) == ["cam"]


@pytest.mark.parametrize(("shift", "spread"), [(300, 1.0), (-200, 1.6), (0, 0.5), (450, 1.5)])
def test_mapped_margins_lie_where_the_banks_do(shift, spread):
    rng = np.random.default_rng(0)
    bank = rng.gumbel(-900, 200, 2000).astype(np.int16)
    camera = (-900 + shift + spread * rng.gumbel(0, 200, 600)).astype(np.int16)
    limit = int(fit_tail(bank).quantile(1e-3))
    mult, offset = fit_maps(bank_shape([bank], [limit]), camera[:, None])
    fresh = (-900 + shift + spread * rng.gumbel(0, 200, 200_000)).astype(np.int16)
    mapped = mapped_q8(fresh[:, None], mult, offset)[:, 0]
    assert (mapped <= fresh).all()
    raw, own = (fresh >= limit).mean(), (mapped >= limit).mean()
    assert own <= 3e-3, (raw, own)


def test_few_frames_change_nothing():
    bank = np.arange(-1000, 0, dtype=np.int16)
    shape = bank_shape([bank, bank], [900, 900])
    few = np.full((LEAST_USUAL - 1, 2), 5, np.int16)
    always = np.full((5000, 2), 950, np.int16)
    for frames in (few, always):
        mult, offset = fit_maps(shape, frames)
        assert (mult.tolist(), offset.tolist()) == ([4096, 4096], [0, 0])


def test_phrases_are_fitted_together_as_each_would_be_alone():
    rng = np.random.default_rng(1)
    banks = [rng.normal(-900, 100 + 20 * n, 500).astype(np.int16) for n in range(9)]
    camera = rng.normal(-700, 200, (77, 9)).astype(np.int16)
    limits = rng.integers(-800, 200, 9).tolist()
    mult, offset = fit_maps(bank_shape(banks, limits), camera)
    for n, (bank, limit) in enumerate(zip(banks, limits, strict=True)):
        usual = camera[:, n][camera[:, n] < limit].astype(np.float64)
        if len(usual) < LEAST_USUAL:
            assert (mult[n], offset[n]) == (4096, 0)
            continue
        low, high = (int(value) for value in np.quantile(usual, (0.5, 0.9)))
        bank_low, bank_high = (int(value) for value in np.quantile(bank, (0.5, 0.9)))
        wanted = min(max((bank_high - bank_low) * 4096 // max(1, high - low), 1024), 16384)
        assert (mult[n], offset[n]) == (wanted, bank_low - ((low * wanted) >> 12))


def test_a_calibration_finds_its_phrases_whatever_their_columns_are():
    found = CameraCalibration(
        "cam", 1, 40, ("a", "b"), np.array([2048, 4096], np.int32), np.array([0, -9], np.int32)
    )
    cameras = Calibrations()
    cameras.put(found)
    margins = np.array([[100, 200, 300], [100, 200, 300]], np.int16)
    for columns, own in (({"a": 0, "b": 1, "c": 2}, [50, 191, 300]), ({"b": 2}, [100, 200, 291])):
        cameras.columns_are(columns)
        assert cameras.own_q8(["cam", "other"], margins).tolist() == [own, [100, 200, 300]]
        assert cameras.row_q8("cam", margins[0]).tolist() == own


def test_a_calibration_goes_through_the_recording():
    maps = np.array([4096, 2048], np.int32), np.array([-20, 7], np.int32)
    one = CameraCalibration("cam", 3, 400, ("a cat", "é"), *maps)
    again = CameraCalibration.of_json(one.json())
    assert again.json() == one.json()
    assert again.maps == {"a cat": (4096, -20), "é": (2048, 7)}
    assert str(one) == "calibration 3 of this camera, from 400 frames"

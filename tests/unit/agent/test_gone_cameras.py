"""Cameras that were forgotten, or not seen for long, leave no background behind."""

import time

import numpy as np
import pytest
from moteye.core.background import CameraCalibration
from moteye.core.engine import Engine, Observation
from moteye.core.language import parse_policy
from moteye.core.layout import CompiledPolicy
from moteye.errors import StoreError
from moteye.history import Replay
from moteye.judge import Judge
from moteye.ledger import Ledger
from moteye.store import Background, Batch, Store
from moteye.text.space import load_space

DAY_MS = 86_400_000
ENCODER = b"8 bytes."


def calibration(device: str) -> CameraCalibration:
    return CameraCalibration(device, 1, 40, ("a",), np.array([2048]), np.array([0]))


class House:
    """An agent's judge over a store; each camera in it has a background."""

    def __init__(self, url: str, *cameras: str) -> None:
        self.url = url
        self.engine = Engine()
        policy = parse_policy("see: a\nthen: [log]\n", "p", "p")
        rule = CompiledPolicy(policy, np.array([0]), np.array([300], np.int32), "f")
        self.engine.replace((rule,))
        self.ledger = Ledger(url, self.engine, record_days=30, record_bytes=10**8)
        self.judge = Judge(self.engine, self.ledger, lambda rows: None)
        for name in cameras:
            self.judge.cameras.saw([(name, bytes(256), ENCODER)])
            found = calibration(name)
            row = Background(ENCODER, 40, bytes(64), found.json(), 64)
            self.ledger.calibrate(found, row)

    def look(self, camera: str, time_ms: int) -> None:
        seen = Observation(camera, 1, 1, 1, time_ms)
        assert self.ledger.is_new(seen)
        self.ledger.saw(seen, ENCODER, bytes(256))

    @property
    def stored(self) -> set[str]:
        return set(Store(self.url).backgrounds(ENCODER))


@pytest.fixture
async def house(store_url):
    one = House(store_url, "hall", "attic")
    await one.ledger.open()
    yield one
    await one.ledger.close()


async def test_a_camera_that_is_forgotten_takes_its_background_along(house):
    await house.ledger.commit()
    assert house.stored == {"hall", "attic"}
    house.judge.forget("attic")
    await house.ledger.commit()
    assert house.stored == {"hall"}
    assert set(house.judge.cameras.reservoirs) == {"hall"}
    assert set(house.engine.calibrations.all) == {"hall"}
    store = Store(house.url)
    now_ms = int(time.time() * 1000)
    assert [e.device for e in store.standing_at(now_ms + 1000)] == ["hall"]


async def test_one_that_comes_back_begins_anew_and_is_kept(house):
    house.judge.forget("attic")
    again = calibration("attic")
    house.ledger.calibrate(again, Background(ENCODER, 40, bytes(64), again.json(), 64))
    await house.ledger.commit()
    assert house.stored == {"hall", "attic"}
    kinds = [e.kind for e in Store(house.url).events() if e.device == "attic"]
    assert kinds == ["c", "g", "c"]


async def test_a_camera_not_seen_for_as_long_as_frames_are_kept_is_gone(house):
    now_ms = int(time.time() * 1000)
    house.look("hall", now_ms)
    await house.ledger.commit()
    await house.ledger.tidy(now_ms)
    assert house.stored == {"hall"}, "of the attic there is no frame"
    assert set(house.judge.cameras.reservoirs) == {"hall"}
    await house.ledger.tidy(now_ms + 20 * DAY_MS)
    assert house.stored == {"hall"}
    await house.ledger.tidy(now_ms + 31 * DAY_MS)
    assert house.stored == set()
    await house.ledger.tidy(now_ms + 62 * DAY_MS)
    assert not [e for e in Store(house.url).events() if e.kind == "c"], "nor are calibrations"


async def test_a_failing_store_forgets_later(house, monkeypatch):
    await house.ledger.commit()
    kept = Store.commit

    def full(self, batch):
        raise StoreError("database or disk is full")

    monkeypatch.setattr(Store, "commit", full)
    house.judge.forget("attic")
    await house.ledger.commit()
    monkeypatch.setattr(Store, "commit", kept)
    await house.ledger.commit()
    assert house.stored == {"hall"}


def test_a_replay_forgets_the_calibration_where_the_agent_did(tmp_path):
    store = Store(str(tmp_path / "s.db"))
    engine = Engine()
    ledger = Ledger(str(tmp_path / "t.db"), engine, record_days=1, record_bytes=10**6)
    ledger.calibrate(calibration("attic"), Background(ENCODER, 1, b"", b""))
    ledger.camera_is_gone("attic")
    store.commit(Batch(events=ledger._batch.events))
    compiled = load_space().compile(
        [parse_policy("see: a\nthen: [log]\n", "p", "p")], number=1, dim=64
    )
    replay = Replay(compiled, ENCODER)
    assert list(replay.feed(store.events())) == []
    assert replay.engine.calibrations.all == {}

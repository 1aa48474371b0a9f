"""What cameras keep of what they usually show: bounded in memory and on disk, whatever they see."""

import numpy as np
import pytest
from moteye.core import background
from moteye.core.compile import compile_policies
from moteye.core.engine import Engine, Observation
from moteye.core.language import parse_policy
from moteye.judge import Item, Judge
from moteye.ledger import Ledger
from moteye_protocol import models
from support.spaces import small_space

ENCODER = b"8 bytes."
CAMERAS, FRAMES, A_BATCH, DIM = 12, 700, 20, 64
FLEET_ROWS, LEAST_ROWS = 1000, 40


def compiled():
    bank, logistic, vectors = small_space(phrases=1)
    policy = parse_policy("see: a thing\nthen: [log]\n", "p", "p")
    return compile_policies(
        [policy], lambda _: vectors, bank, logistic, encoder_hash=ENCODER, number=1, dim=DIM
    )


def item(camera: int, frame: int, embedding: bytes) -> Item:
    message = models.Embedding(
        s=1, n=frame, t=None, up=frame, frame=frame, at=frame, encoder=ENCODER, set=None,
        e=embedding, why="change", sim=0,
    )  # fmt: skip
    seen = Observation(f"cam{camera}", 1, frame, frame, 1000 * frame)
    return Item(seen, message, lambda: None)


async def watching(url: str) -> tuple[Ledger, Judge]:
    """A judge with what is on record of its cameras."""
    engine, found = Engine(), compiled()
    engine.replace(found.policies)
    ledger = Ledger(url, engine, record_days=30, record_bytes=10**9)
    await ledger.open()
    judge = Judge(engine, ledger, lambda rows: None)
    judge.compiled = found
    judge.restore(await ledger.ask(lambda store: store.backgrounds(ENCODER)))
    return ledger, judge


def kept_bytes(judge: Judge) -> int:
    return sum(len(one.data) for one in judge.cameras.reservoirs.values())


async def test_cameras_that_are_watched_for_long_keep_no_more_than_a_fleet_may(
    store_url, monkeypatch
):
    monkeypatch.setattr(background, "FLEET_ROWS", FLEET_ROWS)
    monkeypatch.setattr(background, "LEAST_ROWS", LEAST_ROWS)
    rng = np.random.default_rng(1)
    ledger, judge = await watching(store_url)
    for first in range(0, FRAMES, A_BATCH):
        views = rng.integers(-128, 128, (A_BATCH, CAMERAS, 256), np.int8)
        await judge.judge(
            [
                item(camera, first + number, view.tobytes())
                for number, row in enumerate(views)
                for camera, view in enumerate(row)
            ]
        )
        # One camera is fitted with a batch: let the others have their turn.
        while judge.cameras.due:
            await judge.judge([])
            judge._learn_backgrounds([], judge.compiled)
    most = FLEET_ROWS * DIM
    assert most * 0.9 <= kept_bytes(judge) <= most
    found = await ledger.ask(lambda store: store.backgrounds(ENCODER))
    assert len(found) == CAMERAS
    assert most * 0.9 <= sum(len(row.frames) for row in found.values()) <= most
    kept = kept_bytes(judge)
    await ledger.close()
    ledger, judge = await watching(store_url)
    assert kept_bytes(judge) == pytest.approx(kept, rel=0.1), "and the next run goes on with them"
    await ledger.close()

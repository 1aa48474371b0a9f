"""A wish in words, made a policy by the language page alone, tried on a recording, and explained.

"Tell me when a new plant shows up on the windowsill, not at night, at most once an hour."
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from moteye.cli.app import app
from moteye.core.engine import Engine, Observation
from moteye.imaging import ImageEncoder, load_rgb
from moteye.judge import Item, Judge
from moteye.ledger import Ledger
from moteye.policies import load
from moteye.schedule import WhileSchedule
from moteye.text.space import load_space
from moteye_protocol import models
from support.live import skimage_photo, sklearn_photo
from typer.testing import CliRunner

BERLIN = ZoneInfo("Europe/Berlin")
POLICY = """
see: a flower
new: true
cameras: windowsill
while: {time: 07:00-22:00, zone: Europe/Berlin}
cooldown: 1h
then: [log]
"""
YESTERDAY = datetime.now(BERLIN).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(1)
WALL, FLOWER = skimage_photo("brick.png"), sklearn_photo("flower.jpg")


def at(hours: float) -> int:
    """Milliseconds of a time of yesterday, in Berlin."""
    return int((YESTERDAY + timedelta(hours=hours)).timestamp() * 1000)


SCENE = [
    *[(WALL, at(6) + 60_000 * n) for n in range(3)],
    *[(FLOWER, at(10) + 1000 * n) for n in range(3)],  # a new one: tell
    *[(WALL, at(10.2) + 1000 * n) for n in range(3)],
    *[(FLOWER, at(10.5) + 1000 * n) for n in range(3)],  # another, within the hour
    *[(WALL, at(11) + 1000 * n) for n in range(3)],
    *[(FLOWER, at(23) + 1000 * n) for n in range(3)],  # at night
]


@pytest.fixture
async def house(tmp_path, monkeypatch):
    """The policy's folder and the store of a day with it in force."""
    monkeypatch.setenv("COLUMNS", "160")
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "new-plant.yaml").write_text(POLICY)
    url = f"sqlite:///{tmp_path / 'moteye.db'}"
    space = load_space()
    compiled = space.compile(load(folder), number=1, dim=64, schedule_of=WhileSchedule)
    engine = Engine()
    engine.replace(compiled.policies)
    ledger = Ledger(url, engine, record_days=30, record_bytes=10**8)
    await ledger.open()
    judge = Judge(engine, ledger, lambda rows: None)
    judge.compiled, judge.learns = compiled, False
    encoder = ImageEncoder(space.model / "encoder.tflite")
    views = {path: encoder.encode(load_rgb(path)).tobytes() for path in (WALL, FLOWER)}
    for number, (photo, time_ms) in enumerate(SCENE, 1):
        message = models.Embedding(
            s=1, n=number, t=None, up=number, frame=number, at=number, set=None, why="change",
            encoder=space.encoder_hash, e=views[photo], sim=0,
        )  # fmt: skip
        where = ("windowsill", 1, number, number, time_ms)
        seen = Observation(*where, embedding=message.e, encoder=message.encoder)
        await judge.judge([Item(seen, message, lambda: None)])
    await ledger.close()
    return folder, url


def said(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


async def test_a_wish_becomes_a_policy_that_is_checked_backtested_and_explained(house):
    folder, url = house
    checked = said("policies", "check", str(folder))
    assert "new-plant" in checked
    assert "ok: policies 1, phrases 1" in checked
    tested = said("backtest", "--policy", str(folder), "--since", "3d", "--store", url)
    assert "suppressed: 2 (cooldown 1, while 1)" in tested
    (row,) = [line for line in tested.splitlines() if "new-plant" in line]
    assert [cell.strip() for cell in row.strip("│ ").split("│")] == ["new-plant", *"1100"]
    listed = said("decisions", "--since", "3d", "--store", url).splitlines()
    held = next(line for line in listed if "cooldown" in line)
    why = said("why", held.split()[0], "--store", url)
    assert "suppressed: cooldown: 1800 s left" in why
    assert "✗ cooldown: 1800 s left" in why
    assert "✓ new" in why
    asked = f"{YESTERDAY:%Y-%m-%d}T23:00:02+01:00"
    offset = YESTERDAY.utcoffset()
    asked = asked if offset == timedelta(hours=1) else asked.replace("+01:00", "+02:00")
    night = said("why", "new-plant", "--at", asked, "--policies", str(folder), "--store", url)
    assert "outside 07:00-22:00" in night
    wider = (folder / "new-plant.yaml").read_text().replace("1h", "10m")
    (folder.parent / "edited").mkdir()
    (folder.parent / "edited" / "new-plant.yaml").write_text(wider)
    edited = str(folder.parent / "edited")
    assert "gained" in said("backtest", "--policy", edited, "--since", "3d", "--store", url)

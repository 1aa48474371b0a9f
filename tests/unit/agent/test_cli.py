"""The commands, run as a person would."""

import io
import json
import subprocess

import pytest
from moteye.cli.app import app
from moteye.cli.devices import _table as devices_table
from moteye.cli.watch import Board
from moteye.errors import LinkError
from moteye.link.connection import BrokerUrl, Connection
from moteye.link.devices import Device, Devices
from moteye.topics import AGENT_TOPIC
from moteye_protocol import models
from rich.console import Console
from support.command import MOTEYE
from support.live import skimage_photo
from typer.testing import CliRunner


def moteye(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*MOTEYE, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def cat(tmp_path):
    (tmp_path / "cat.yaml").write_text("see: [a cat, a cup of coffee]\nthen: [log]\n")
    return tmp_path / "cat.yaml"


def test_score_shows_every_phrase_with_probability_and_margin(cat):
    photo = str(skimage_photo("chelsea.png"))
    done = CliRunner().invoke(app, ["score", photo, "--policy", str(cat), "--json"])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.output.splitlines()]
    assert [row["phrase"] for row in rows] == ["a cat", "a cup of coffee"]
    assert rows[0]["probability"] > 0.5 > rows[1]["probability"]
    assert rows[0]["margin"] > rows[1]["margin"]


def test_check_prints_the_promise_of_each_phrase(cat):
    done = CliRunner().invoke(app, ["policies", "check", str(cat)])
    assert done.exit_code == 0, done.output
    assert "a cup of coffee" in done.output
    assert "policies 1, phrases 2" in done.output


def test_a_broken_policy_ends_in_one_line_with_its_place(tmp_path):
    (tmp_path / "p.yaml").write_text("see: a cat\nthen: [lgo]\n")
    done = moteye("policies", "check", str(tmp_path))
    assert done.returncode == 1
    assert "p.yaml:2:8: unknown action 'lgo' (did you mean log?)" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_picture_that_is_none_is_named(tmp_path, cat):
    (tmp_path / "x.jpg").write_bytes(b"no picture")
    done = moteye("score", str(tmp_path / "x.jpg"), "--policy", str(cat))
    assert done.returncode == 1
    assert "x.jpg: not a picture" in done.stderr


def test_a_port_that_is_taken_is_explained(cat):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = moteye("run", "--policies", str(cat), "--listen", f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "--broker" in done.stderr


async def test_the_board_shows_devices_and_alerts_by_name():
    async def nowhere(topic, payload):
        raise AssertionError

    board = Board(Devices(nowhere))
    names = json.dumps({"names": ["a cat", "a plant"]}).encode()
    await board.receive(f"{AGENT_TOPIC}/set", names, True)
    envelope = {"s": 1, "t": None, "up": 5}
    await board.receive(
        models.topic("porch", "status"), models.encode(models.Status(s=1, state="online")), True
    )
    detections = models.Detections(
        **envelope, n=2, frame=1, at=4, set=bytes(8), dim=64, rows=[[1, 500, 220], [0, -400, 50]]
    )
    await board.receive(models.topic("porch", "detections"), models.encode(detections), False)
    alert = {"time": "now", "policy": "new-plant", "camera": "porch", "probability": 0.86}
    await board.receive(f"{AGENT_TOPIC}/alert", json.dumps(alert).encode(), False)
    await board.receive(f"{AGENT_TOPIC}/alert", b"not json", False)
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(board.table())
    shown = console.export_text()
    for text in ("porch", "online", "0.86 a plant", "0.20 a cat", "new-plant"):
        assert text in shown


async def test_a_broker_that_is_not_there_is_one_line_and_no_traceback():
    async def receive(topic, payload, retain):
        raise AssertionError("nobody speaks")

    connection = Connection(
        BrokerUrl("127.0.0.1", 1, tls=False), client_id="x", subscriptions=[], on_message=receive
    )
    with pytest.raises(LinkError, match=r"no broker at mqtt://127\.0\.0\.1:1 .* is it running"):
        await connection.wait(0.05)


def test_the_list_of_devices_fits_a_terminal_of_80_letters():
    birth = models.Birth(
        s=1, n=0, t=None, up=0, fw="0.1.0", encoder=bytes(range(240, 248)), dim=64, width=320,
        height=240, set=bytes(8), set_version="12-815fa2e1", frames=True, max_set=49152, ops=[],
        interval=500, reset="power on",
    )  # fmt: skip
    known = [Device("windowsill-2", birth=birth), Device("front-door")]
    known[0].presence.state = "sleeping"
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(devices_table(known))
    shown = console.export_text().splitlines()
    headings = ["device", "state", "fw", "encoder", "dim", "set", "frames", "started"]
    assert [line.split() for line in shown if "encoder" in line] == [headings]
    (line,) = [line for line in shown if "windowsill" in line]
    cells = "windowsill-2 sleeping 0.1.0 f0f1f2f3f4f5f6f7 64 12-815fa2e1 yes power on"
    assert line.split() == cells.split()

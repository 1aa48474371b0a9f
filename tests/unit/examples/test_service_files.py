"""The examples that start the agent: a systemd unit, and a container recipe."""

import re
import shlex
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest
from moteye.actions.outbox import GRACE_S
from moteye.cli.app import app
from moteye.config import Settings
from moteye.supervision import LOOK_S, OUTBOX_TURNS_S, STORE_ANSWERS_S
from typer.main import get_command

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "examples" / "systemd" / "moteye.service"
RECIPE = ROOT / "examples" / "container" / "Containerfile"


def unit() -> RawConfigParser:
    parser = RawConfigParser(strict=True)
    parser.optionxform = str
    parser.read_string(UNIT.read_text())
    return parser


def flags_of(command: str) -> set[str]:
    found = get_command(app).commands[command]
    return {flag for option in found.params for flag in option.opts}


def test_the_unit_is_one_that_systemd_takes(tmp_path):
    text = UNIT.read_text().replace("/opt/moteye/bin/moteye", sys.executable)
    path = tmp_path / "moteye.service"
    path.write_text(text)
    analyse = shutil.which("systemd-analyze")
    if analyse:  # where there is none the other tests still read the file
        done = subprocess.run([analyse, "verify", path], capture_output=True, text=True)
        assert (done.returncode, done.stderr.strip()) == (0, "")
    service = unit()["Service"]
    program, command, *flags = shlex.split(service["ExecStart"])
    assert program.endswith("/moteye")
    assert {flag for flag in flags if flag.startswith("--")} <= flags_of(command)


def test_the_units_times_fit_the_agents():
    service = unit()["Service"]
    assert service["Type"] == "notify"
    limit_s = float(service["WatchdogSec"])
    assert limit_s > 6 * (LOOK_S + STORE_ANSWERS_S), "some slow answers are no end"
    assert limit_s > OUTBOX_TURNS_S
    assert float(service["TimeoutStopSec"]) > 2 * GRACE_S


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """The recipe's instructions, with lines that go on joined."""
    text = re.sub(r"^#.*\n", "", RECIPE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def test_the_recipe_has_instructions_and_settings_that_there_are(steps):
    known = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE"}
    known |= {"STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert {name for name, _ in steps} <= known
    assert steps[0][0] == "FROM"
    settings = re.findall(r"\bMOTEYE_([A-Z_]+)", RECIPE.read_text())
    assert {name.lower() for name in settings} <= set(Settings.model_fields)
    command = next(rest for name, rest in steps if name == "CMD")
    words = re.findall(r'"([^"]+)"', command)
    assert set(words[1:]) <= flags_of(words[0])
    user = [name for name, _ in steps].index("USER")
    assert user < [name for name, _ in steps].index("ENTRYPOINT"), "it does not run as root"


def test_what_the_recipe_copies_is_enough_to_build_the_wheel(steps, tmp_path):
    for name, rest in steps:
        if name == "COPY" and not rest.startswith("--from"):
            *sources, target = rest.split()
            for source in sources:
                place = tmp_path / target if target != "./" else tmp_path / source
                place.parent.mkdir(parents=True, exist_ok=True)
                found = ROOT / source
                (shutil.copytree if found.is_dir() else shutil.copy)(found, place)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist"]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").glob("moteye-*.whl")
    listed = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", wheel], capture_output=True, text=True
    ).stdout
    for part in (
        "moteye/agent.py",
        "moteye_protocol/wire.py",
        "device_models/accurate/encoder.tflite",
    ):
        assert part in listed

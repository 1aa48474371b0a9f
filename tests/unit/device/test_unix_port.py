"""The build of the simulated device: cached, and clear when it cannot be done."""

import os
import subprocess
from pathlib import Path

from kernel_library import ROOT

PORT = ROOT / "device" / "ports" / "unix"


def test_second_build_leaves_the_binary_alone(micropython: Path) -> None:
    before = micropython.stat()
    subprocess.run(["make", "-s", "-C", str(PORT)], check=True, timeout=20)
    assert micropython.stat().st_mtime_ns == before.st_mtime_ns


def test_build_without_a_source_says_what_to_do(micropython: Path, tmp_path: Path) -> None:
    environment = os.environ | {"MICROPYTHON_DIR": str(tmp_path)}
    result = subprocess.run(
        ["sh", str(PORT / "build.sh")], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert f"MICROPYTHON_DIR={tmp_path} is no MicroPython source" in result.stderr
    assert micropython.exists()


def test_fetch_without_apt_names_the_other_way(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("mkdir", "dirname", "basename", "mktemp", "rm"):
        (tools / name).symlink_to(Path("/usr/bin") / name)
    result = subprocess.run(
        ["/bin/sh", str(PORT / "fetch_micropython.sh"), str(tmp_path / "source")],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert "a checkout of MicroPython v1.25.0 works too: MICROPYTHON_DIR=" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]

"""The environment of Home Assistant's core, made once and kept under build/."""

import subprocess
import sys
from pathlib import Path

VERSION = "2025.4.4"  # its MQTT integration takes the device form; needs Python 3.13
FOLDER = Path(__file__).parents[3] / "build" / f"home-assistant-{VERSION}"


def python() -> Path:
    """Its interpreter; made at the first call, which takes a minute or two."""
    found, complete = FOLDER / "bin" / "python", FOLDER / ".complete"
    if not complete.is_file():
        uv = [str(Path(sys.executable).with_name("uv"))]
        index = ["--index-strategy", "unsafe-best-match"]
        wanted = [f"homeassistant=={VERSION}", "paho-mqtt==2.1.0"]
        subprocess.run([*uv, "venv", "--clear", "-p", "3.13", FOLDER], check=True)
        subprocess.run([*uv, "pip", "install", "-p", found, *index, *wanted], check=True)
        complete.touch()
    return found

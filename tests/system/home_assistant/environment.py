"""The environment of Home Assistant's core, made once and kept under build/."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

VERSION = "2025.4.4"  # its MQTT integration takes the device form
PYTHON = "3.13"  # that version wants it
FOLDER = Path(__file__).parents[3] / "build" / f"home-assistant-{VERSION}"


def python() -> Path:
    """Its interpreter; made at the first call, which takes a minute or two."""
    found, complete = FOLDER / "bin" / "python", FOLDER / ".complete"
    if not complete.is_file():
        uv = [str(Path(sys.executable).with_name("uv"))]
        index = ["--index-strategy", "unsafe-best-match"]
        wanted = [f"homeassistant=={VERSION}", "paho-mqtt==2.1.0"]
        subprocess.run([*uv, "venv", "--clear", "-p", interpreter(), FOLDER], check=True)
        system = {**os.environ, "UV_NATIVE_TLS": "1", "UV_SYSTEM_CERTS": "1"}  # as pip does
        install = [*uv, "pip", "install", "-p", found, *index, *wanted]
        subprocess.run(install, env=system, check=True)
        complete.touch()
    return found


def interpreter() -> str:
    """A Python that Home Assistant runs on: on the path, pyenv's, else one that uv brings."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    on_path = shutil.which(f"python{PYTHON}")
    installed = sorted(root.glob(f"versions/{PYTHON}.*/bin/python{PYTHON}"))
    for found in ([on_path] if on_path else []) + [str(path) for path in installed]:
        # A shim of pyenv is on the path also where its version is not chosen.
        if subprocess.run([found, "--version"], capture_output=True).returncode == 0:
            return found
    return PYTHON

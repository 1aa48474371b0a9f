"""A real PostgreSQL server in a folder of its own, on a socket in it; no TCP port."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), "/usr/local/bin"]


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=":".join(map(str, PROGRAMS)))
    assert found, f"{name} is missing: run `make test`, which installs or names it"
    return str(Path(found).resolve())


def _run(*command: str) -> None:
    """Run as a user that PostgreSQL accepts: it refuses root."""
    if os.geteuid() == 0:
        command = ("runuser", "-u", "postgres", "--", *command)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """The URL of an empty database."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    data, log = folder / "data", folder / "log"
    _run(_program("initdb"), "-D", str(data), "-U", "moteye", "-A", "trust", "--no-sync")
    options = f"-k {folder} -c listen_addresses= -c fsync=off"
    _run(_program("pg_ctl"), "-D", str(data), "-l", str(log), "-o", options, "-w", "start")
    try:
        yield f"postgresql://moteye@/postgres?host={folder}"
    finally:
        _run(_program("pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")

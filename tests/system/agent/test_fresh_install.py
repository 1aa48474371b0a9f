"""T60: what a fresh install listens on, asked of the kernel: this machine alone, no password."""

import asyncio
import contextlib
import json
import os
from pathlib import Path

import httpx
import pytest
from moteye.config import load_settings
from support.command import MOTEYE
from support.live import free_port, write_policy

LISTENS = "0A"  # TCP_LISTEN in /proc/net/tcp
LOOPBACK = {"0100007F", "00000000000000000000000001000000"}


@pytest.fixture
def nothing_said(monkeypatch):
    """No settings in the environment."""
    for name in [name for name in os.environ if name.startswith("MOTEYE_")]:
        monkeypatch.delenv(name)


def listening(pid: int) -> dict[str, set[int]]:
    """Ports that a process listens on, by address as the kernel writes it; of UDP, too."""
    sockets = set()
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            sockets.add(str(handle.readlink()))
    found: dict[str, set[int]] = {}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            address, _, port = columns[1].partition(":")
            waits = columns[3] == LISTENS or table.startswith("udp")
            if waits and f"socket:[{columns[9]}]" in sockets:
                found.setdefault(address, set()).add(int(port, 16))
    return found


async def test_t60_a_fresh_install_listens_on_loopback_alone_with_no_password(
    tmp_path, nothing_said
):
    """`moteye run` with the API on, and nothing else said."""
    write_policy(tmp_path / "policies", "cat", "see: a cat\nthen: [log]\n")
    broker, api = free_port(), free_port()
    process = await asyncio.create_subprocess_exec(
        *(*MOTEYE, "run", "--log-json", "--listen", f"127.0.0.1:{broker}"),
        *("--api", f"127.0.0.1:{api}"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=tmp_path,
    )
    try:
        async with asyncio.timeout(90), httpx.AsyncClient() as client:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    ready = await client.get(f"http://127.0.0.1:{api}/readyz")
                    if ready.status_code == 200:
                        break
                await asyncio.sleep(0.1)
            found = listening(process.pid)
            guesses = ("admin", "public", "moteye", "null", "undefined")
            for guess in guesses:
                headers = {"authorization": f"Bearer {guess}"}
                answer = await client.get(f"http://127.0.0.1:{api}/api/v1/cameras", headers=headers)
                assert answer.status_code == 401, guess
    finally:
        process.terminate()
        await process.wait()
    assert set(found) <= LOOPBACK, found
    assert {broker, api} == {port for ports in found.values() for port in ports}


def test_t60_without_being_asked_for_there_is_no_api(nothing_said):
    settings = load_settings()
    assert settings.api is None
    assert settings.listen.startswith("127.0.0.1:")
    assert settings.public_url is None
    assert json.loads(settings.actions.model_dump_json())["notify"] == {}

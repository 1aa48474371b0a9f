"""docs/home-assistant.md as a new user reads it: its policy and commands, to the first alert."""

import asyncio
import contextlib
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from support.command import MOTEYE
from support.live import PROGRAMS, Mosquitto, skimage_photo
from system.home_assistant.conftest import running_home_assistant

ROOT = Path(__file__).parents[3]
LOGIN = {"username": "moteye", "password": "PASSWORD"}
MOST_S = 600  # the page promises the first alert in ten minutes


def blocks(heading: str) -> list[str]:
    """The code blocks below a heading of the page."""
    page = (ROOT / "docs" / "home-assistant.md").read_text()
    section = page.split(f"## {heading}")[1].split("\n## ")[0]
    return re.findall(r"```\w*\n(.*?)```", section, flags=re.DOTALL)


@contextlib.asynccontextmanager
async def running_broker(folder: Path):
    """examples/home-assistant/mosquitto.conf, with the password that the page has."""
    text = (ROOT / "examples" / "home-assistant" / "mosquitto.conf").read_text()
    assert "listener 1883\n" in text
    text = text.replace("listener 1883\n", "")
    text = text.replace("/etc/mosquitto/passwords", str(folder / "passwords"))
    text = text.replace("/var/lib/mosquitto/", f"{folder}/")
    make = [shutil.which("mosquitto_passwd", path=PROGRAMS), "-b", "-c", folder / "passwords"]
    await asyncio.to_thread(
        subprocess.run, [*make, *LOGIN.values()], check=True, capture_output=True
    )
    broker = Mosquitto(folder, text)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


@contextlib.asynccontextmanager
async def command(text: str, folder: Path, port: int):
    """One of the page's commands, as it stands there but for where the broker is."""
    name, *words = shlex.split(text.replace("homeassistant.local", f"127.0.0.1:{port}"))
    assert name == "moteye"
    with (folder / "said").open("ab") as said:
        process = await asyncio.create_subprocess_exec(
            *MOTEYE, *words, cwd=folder, stdout=said, stderr=said
        )
    try:
        yield
        assert process.returncode is None, (folder / "said").read_text()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@pytest.mark.timeout(MOST_S + 100)
async def test_the_page_leads_to_the_first_alert_within_ten_minutes(tmp_path):
    (policy,), (run, *_), (simulate,) = (
        blocks(heading) for heading in ("2. A policy", "3. The agent", "4. A camera")
    )
    place = tmp_path / re.match(r"# (\S+)", policy)[1]
    place.parent.mkdir()
    place.write_text(policy)
    (tmp_path / "photos").mkdir()
    for name in ("coffee.png", "chelsea.png"):  # a folder of pictures, one of them with a cat
        shutil.copy(skimage_photo(name), tmp_path / "photos")
    async with (
        running_broker(tmp_path) as broker,
        running_home_assistant(tmp_path / "ha", broker.port, **LOGIN) as home,
    ):
        port = broker.port
        began = time.monotonic()
        async with command(run, tmp_path, port), command(simulate, tmp_path, port):
            away = (None, "unknown", "unavailable")
            states = await home.until(
                lambda s: s["moteye_hall_alert"]["state"] not in away, "the first alert", MOST_S
            )
            print(f"the first alert after {time.monotonic() - began:.0f} s")
            alert = states["moteye_hall_alert"]["attributes"]
            assert (alert["policy"], alert["phrase"]) == ("cat", "a cat")
            assert await home.ask("devices") == ["moteye moteye-agent", "moteye hall"]
        assert await home.ask("log") == []

"""A running Home Assistant core that can be asked."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from system.home_assistant import environment

INSIDE = Path(__file__).with_name("inside.py")


class HomeAssistant:
    """One process; `ask` sends a question and waits for the answer."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, what: str, **more):
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"ask": what, **more}).encode() + b"\n")
        async with asyncio.timeout(60):
            return json.loads(await self._process.stdout.readline())

    async def notes(self, count: int) -> list[dict]:
        """What the phone got, once that are so many; none more than that."""
        for _ in range(150):
            if len(found := await self.ask("notes")) >= count:
                break
            await asyncio.sleep(0.2)
        assert len(found) == count, (found, await self.ask("log"))
        return found

    async def until(self, condition, what: str, deadline_s: float = 90):
        """Wait until `condition(states)` holds; returns the states, by unique id."""
        states = {}
        try:
            async with asyncio.timeout(deadline_s):
                while True:
                    states = await self.ask("states")
                    with contextlib.suppress(KeyError):
                        if condition(states):
                            return states
                    await asyncio.sleep(0.2)
        except TimeoutError:
            lines = "\n".join(f"{key}: {value}" for key, value in sorted(states.items()))
            pytest.fail(f"waited {deadline_s} s for {what}; Home Assistant has\n{lines}")


@asynccontextmanager
async def running_home_assistant(
    folder: Path, port: int, **login: str
) -> AsyncIterator[HomeAssistant]:
    """Core with the configuration that lies in `folder`, and MQTT at `port`."""
    folder.mkdir(exist_ok=True)
    (folder / "configuration.yaml").touch()
    interpreter = await asyncio.to_thread(environment.python)
    process = await asyncio.create_subprocess_exec(
        *(interpreter, INSIDE, folder, str(port), "homeassistant", json.dumps(login)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**22,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(180):
            assert json.loads(await process.stdout.readline()) == {"ready": "loaded"}
        yield HomeAssistant(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            process.kill()
            await process.wait()

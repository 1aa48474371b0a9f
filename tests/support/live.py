"""A running agent, real brokers, simulated devices and a device that is only a script."""

import asyncio
import contextlib
import functools
import json
import os
import shutil
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import aiomqtt
import numpy as np
import pytest
from moteye.agent import Agent
from moteye.camera.simulate import SimulatedDevice
from moteye.config import load_settings
from moteye.imaging import ImageEncoder, load_rgb
from moteye.link.cancellable import CancellableClient
from moteye.resources import model_dir
from moteye.topics import AGENT_TOPIC
from moteye_protocol import models

DEADLINE_S = 40
PROGRAMS = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"


async def until(condition, what: str, deadline_s: float = DEADLINE_S):
    """Wait until `condition()` is true, and return it; fail with `what` after the deadline."""
    end = time.monotonic() + deadline_s
    while not (found := condition()):
        if time.monotonic() > end:
            pytest.fail(f"waited {deadline_s} s for {what}")
        await asyncio.sleep(0.02)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Mosquitto:
    """A real mosquitto on one port; `stop` and `start` lose everything that it held.

    `more` is its configuration beside the listener.
    """

    def __init__(
        self, folder: Path, more: str = "allow_anonymous true\nset_tcp_nodelay true\n"
    ) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        user = "user root\n" if os.getuid() == 0 else ""  # for files that only we may read
        self._config.write_text(f"{user}listener {self.port} 127.0.0.1\n{more}")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        program = shutil.which("mosquitto", path=PROGRAMS)
        assert program, "mosquitto is missing: run `make test`, which installs or names it"
        self._process = await asyncio.create_subprocess_exec(
            program, "-c", str(self._config), stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@dataclass
class Listener:
    """Everything that passes on a broker."""

    messages: list[tuple[str, bytes, bool]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def alerts(self) -> list[dict]:
        return [json.loads(p) for topic, p, _ in self.messages if topic == f"{AGENT_TOPIC}/alert"]

    def of(self, device: str, name: str) -> list[models.Message]:
        topic = models.topic(device, name)
        return [models.parse(name, p) for t, p, _ in self.messages if t == topic and p]

    async def until(self, condition, what: str, deadline_s: float = DEADLINE_S) -> None:
        """Wait until `condition()` holds; it is looked at after each message."""
        try:
            async with asyncio.timeout(deadline_s):
                while not condition():
                    self.arrived.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self.arrived.wait(), 0.2)
        except TimeoutError:
            topics = sorted({topic for topic, _, _ in self.messages})
            pytest.fail(f"waited {deadline_s} s for {what}; topics seen: {topics}")


@asynccontextmanager
async def listening(port: int) -> AsyncIterator[Listener]:
    listener = Listener()

    async def listen() -> None:
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                async with CancellableClient("127.0.0.1", port) as client:
                    await client.subscribe("#", 1)
                    ready.set()
                    async for message in client.messages:
                        listener.messages.append(
                            (str(message.topic), message.payload, message.retain)
                        )
                        listener.arrived.set()
            await asyncio.sleep(0.05)

    ready = asyncio.Event()
    task = asyncio.create_task(listen())
    await ready.wait()
    yield listener
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
        await task


@asynccontextmanager
async def running_agent(
    policies: Path, *, port: int, embedded: bool, store: str = "sqlite://", **settings
) -> AsyncIterator[Agent]:
    where = {"listen": f"127.0.0.1:{port}"} if embedded else {"broker": f"mqtt://127.0.0.1:{port}"}
    async with alive(
        Agent(load_settings(policies=policies, store=store, **where | settings))
    ) as agent:
        yield agent


@asynccontextmanager
async def alive(agent: Agent) -> AsyncIterator[Agent]:
    task = asyncio.create_task(agent.run())
    ready = asyncio.create_task(agent.ready.wait())
    await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    yield agent
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def device(port: int, camera: str, tmp_path: Path, **options) -> SimulatedDevice:
    settings = {"frames": True, "interval_ms": 100, **options}
    return SimulatedDevice(
        device_id=settings.pop("device_id", "cam"),
        broker_host="127.0.0.1",
        broker_port=port,
        camera_spec=camera,
        data_dir=tmp_path / "flash",
        **settings,
    )


def scene(tmp_path: Path, *shots: tuple[str, float], name: str = "scene.yaml") -> str:
    lines = ["size: [320, 240]", "loop: false", "noise: 2", "shots:"]
    lines += [f'  - {{photo: "{photo}", seconds: {seconds}}}' for photo, seconds in shots]
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return f"scene:{path}"


class ScriptedDevice:
    """A device without eyes: says on the wire what a test tells it to say."""

    def __init__(
        self, client: aiomqtt.Client, agent: Agent | None, device_id: str, session: int
    ) -> None:
        self.client, self.id, self.session = client, device_id, session
        space = agent.space if agent is not None else None
        self.encoder = space.encoder_hash if space is not None else b"another!"
        self.number = 0
        self.frame = 0

    def envelope(self) -> dict:
        self.number += 1
        return {"s": self.session, "n": self.number, "t": None, "up": self.number * 100}

    async def say(self, message: models.Message, *, retain: bool = False) -> None:
        topic = models.topic(self.id, message.topic)
        await self.client.publish(topic, models.encode(message), 1, retain)

    async def look(self, agent: Agent, *views: np.ndarray) -> None:
        """See these, one after the other, and wait until the agent has judged them all."""
        for view in views:
            await self.say(self.embedding(view))
        newest = lambda: agent.devices.all[self.id].presence.window.newest
        await until(lambda: newest() == self.number, "the last frame")
        await until(lambda: agent.judge.waiting == 0, "an empty inbox")

    def birth(self) -> models.Birth:
        return models.Birth(
            **self.envelope(),
            fw="test",
            encoder=self.encoder,
            dim=64,
            width=320,
            height=240,
            set=None,
            set_version="",
            frames=False,
            max_set=65536,
            ops=["ping"],
            interval=100,
        )

    def embedding(self, vector: np.ndarray) -> models.Embedding:
        self.frame += 1
        return models.Embedding(
            **self.envelope(),
            frame=self.frame,
            at=self.number * 100,
            encoder=self.encoder,
            set=None,
            e=vector.astype(np.int8).tobytes(),
            why="change",
            sim=0,
        )


@functools.cache
def cat_and_coffee() -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of a cat and of a cup of coffee, by the shipped encoder."""
    encoder = ImageEncoder(model_dir() / "encoder.tflite")
    cat, coffee = (load_rgb(skimage_photo(name)) for name in ("chelsea.png", "coffee.png"))
    return encoder.encode(cat), encoder.encode(coffee)


def skimage_photo(name: str) -> Path:
    return Path(find_spec("skimage").origin).parent / "data" / name


def sklearn_photo(name: str) -> Path:
    return Path(find_spec("sklearn").origin).parent / "datasets" / "images" / name


def write_policy(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(text.replace("{folder}", str(folder.parent / "alerts")))
    return folder

"""kill -9, or SIGTERM, of an agent under load, again and again; the count of what was lost.

The broker stays; what it was not acknowledged it delivers again. Every frame that the broker took
has to be recorded once, every alert has to come out at the `mqtt` action, at the webhook, under one
key, and at subscribers, and the recording has to lead to the decisions on record, byte for byte.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt
import numpy as np
from moteye import policies
from moteye.history import Replay
from moteye.store import Store
from moteye.text.space import Space, load_space
from moteye.topics import AGENT_TOPIC
from moteye_protocol import models

CAMERAS = 4
TOLD = f"{AGENT_TOPIC}/alert"
FRAMES_A_VIEW = 3
PAUSE_S = 0.05  # between rounds of all cameras
BEFORE_READY = 0.2  # share of the kills that come while the agent starts
MOST_ALIVE_S = 0.3
CATCH_UP_S = 400
POLICY = """see: a cup
certainty: p >= 0.5
cooldown: 0s
then:
  - mqtt: kill9/alert
  - webhook: {url}
  - command: {{run: note}}
"""
# One process has imported everything; each agent is a fork of it, killed as any process is.
_NURSERY = """
import asyncio, json, logging, os, signal, sys
import structlog
from moteye.agent import Agent
from moteye.cli.run import run_until_signal
from moteye.config import load_settings
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
policies, broker, store, actions = sys.argv[1:]
actions = json.loads(actions)

async def live():
    agent = Agent(load_settings(policies=policies, broker=broker, store=store, actions=actions))
    running = asyncio.create_task(run_until_signal(agent))
    waiting = asyncio.create_task(agent.ready.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    print("ready", flush=True)
    await running

for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        asyncio.run(live())
        sys.exit()
    print(pid, flush=True)
"""


@dataclass
class Outcome:
    """What a run of kills came to.

    `lost`: frames that the broker took and nobody recorded, alerts that did not come out, decisions
    that the recording does not lead to. `doubled`: frames recorded twice, alerts under two keys.
    `unknown`: alerts whose `command` was begun and has no known end, which the record says;
    `hidden`: those where it does not say so. `again`: deliveries beyond the first under the same
    key, which the receiver knows by it.
    """

    kills: int = 0
    frames: int = 0
    alerts: int = 0
    unknown: int = 0
    hidden: int = 0
    lost: int = 0
    doubled: int = 0
    again: int = 0
    problems: list[str] = field(default_factory=list)


class Receiver:
    """A webhook receiver that honours the key; and everything that comes out at the broker."""

    def __init__(self) -> None:
        self.webhook: Counter[str] = Counter()
        self.keys: dict[str, set[str]] = {}
        self.mqtt: Counter[str] = Counter()
        self.told: Counter[str] = Counter()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            identifier = _id(await reader.readexactly(int(headers["content-length"])))
            self.webhook[identifier] += 1
            self.keys.setdefault(identifier, set()).add(headers["idempotency-key"])
            writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            await writer.drain()
        writer.close()

    async def listen(self, port: int) -> None:
        """Everything on the action's topic and on that of subscribers, until cancelled."""
        async with aiomqtt.Client("127.0.0.1", port) as client:
            await client.subscribe([("kill9/alert", 1), (TOLD, 1)])
            async for message in client.messages:
                heard = self.told if message.topic.value == TOLD else self.mqtt
                heard[_id(bytes(message.payload))] += 1


class Cameras:
    """CAMERAS devices that show a thing, then none, and so on. `frames` that the broker took."""

    def __init__(self, port: int, space: Space, thing: np.ndarray, none: np.ndarray) -> None:
        self._port, self._space = port, space
        self._views = [none.tobytes()] * FRAMES_A_VIEW + [thing.tobytes()] * FRAMES_A_VIEW
        self.frames = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Publish rounds until told to stop; a round that is begun is finished."""
        async with aiomqtt.Client("127.0.0.1", self._port) as client:
            while not stop.is_set():
                self.frames += 1
                for camera in range(CAMERAS):
                    await client.publish(*self._message(f"cam{camera}", self.frames), qos=1)
                await asyncio.sleep(PAUSE_S)

    def _message(self, device: str, frame: int) -> tuple[str, bytes]:
        message = models.Embedding(
            s=1,
            n=frame,
            t=None,
            up=frame * 100,
            frame=frame,
            at=frame * 100,
            encoder=self._space.encoder_hash,
            set=None,
            e=self._views[frame % len(self._views)],
            why="change",
            sim=0,
        )
        return models.topic(device, "embedding"), models.encode(message)


def _id(payload: bytes) -> str:
    return str(json.loads(payload)["id"])


async def kill_again_and_again(
    folder: Path, *, port: int, store: str, kills: int, seed: int = 9, by: int = signal.SIGKILL
) -> Outcome:
    """`kills` agents one after the other on one store, each ended at a random moment."""
    rng, receiver, space = random.Random(seed), Receiver(), load_space()
    server = await asyncio.start_server(receiver.answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    (folder / "policies").mkdir(parents=True, exist_ok=True)
    (folder / "policies" / "cup.yaml").write_text(POLICY.format(url=url))
    found = policies.load(folder / "policies")
    compiled = space.compile(found, number=1, dim=64)
    bank = space.background.embeddings
    margins = compiled.scorer.margins_q8(bank)[:, 0]
    cameras = Cameras(port, space, bank[int(margins.argmax())], bank[int(margins.argmin())])
    noted = folder / "noted"
    note = ["/usr/bin/env", "dd", f"of={noted}", "oflag=append", "iflag=fullblock", "bs=65536"]
    actions = {
        "webhook": {"allow": [f"127.0.0.1:{server.sockets[0].getsockname()[1]}"]},
        "commands": {"note": {"argv": [*note, "conv=notrunc", "status=none"]}},
    }
    arguments = [str(folder / "policies"), f"mqtt://127.0.0.1:{port}", store, json.dumps(actions)]
    nursery = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _NURSERY, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    outcome = Outcome(kills=kills)
    stop = asyncio.Event()
    listening = asyncio.create_task(receiver.listen(port))
    try:
        pid = await _agent(nursery, ready=True)  # the broker knows its subscription from here on
        publishing = asyncio.create_task(cameras.run(stop))
        for _ in range(kills):
            await asyncio.sleep(rng.uniform(0, MOST_ALIVE_S))
            os.kill(pid, by)
            await _ended(pid)
            pid = await _agent(nursery, ready=rng.random() >= BEFORE_READY)
        stop.set()
        await publishing
        await _caught_up(store, cameras.frames, receiver)
        os.kill(pid, signal.SIGTERM)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(nursery.pid, signal.SIGKILL)
        await nursery.wait()
        listening.cancel()
        server.close()
    record = Store(store, read_only=True)
    _count(outcome, record, receiver, cameras.frames)
    _count_commands(outcome, record, noted.read_text() if noted.exists() else "")
    replay = Replay(compiled, space.encoder_hash)
    again = [decision.json() for decision in replay.feed(record.events())]
    if again != [decision.json() for decision in record.decisions()]:
        outcome.lost += 1
        outcome.problems.append("the recording leads to other decisions than those on record")
    record.close()
    return outcome


async def _agent(nursery: asyncio.subprocess.Process, *, ready: bool) -> int:
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    nursery.stdin.write(b"\n")
    pid = 0
    async with asyncio.timeout(60):
        while not pid or ready:
            line = (await nursery.stdout.readline()).strip()
            if line == b"ready":
                if pid:
                    return pid
            else:
                pid = int(line)
    return pid


async def _ended(pid: int) -> None:
    """Until the process is gone; its parent has no zombies."""
    with contextlib.suppress(ProcessLookupError):
        async with asyncio.timeout(60):
            while True:
                os.kill(pid, 0)
                await asyncio.sleep(0.01)


async def _caught_up(store: str, frames: int, receiver: Receiver) -> None:
    """Until the last agent has recorded every frame and done what every alert asks for.

    Actions that were begun again and again wait for longer each time.
    """
    async with asyncio.timeout(CATCH_UP_S):
        while True:
            record = await asyncio.to_thread(Store, store, read_only=True)
            try:
                last = Counter(e.device for e in record.events() if e.frame == frames)
                if len(last) == CAMERAS and not record.waiting():
                    fired = {d.id for d in record.decisions() if d.fired}
                    if fired <= set(receiver.mqtt) and fired <= set(receiver.told):
                        return
            finally:
                record.close()
            await asyncio.sleep(0.2)


def _count(outcome: Outcome, record: Store, receiver: Receiver, frames: int) -> None:
    seen = Counter((e.device, e.frame) for e in record.events() if e.is_embedding)
    numbers = range(1, frames + 1)
    wanted = {(f"cam{camera}", frame) for camera in range(CAMERAS) for frame in numbers}
    fired = Counter(d.id for d in record.decisions() if d.fired)
    outcome.frames, outcome.alerts = len(wanted), len(fired)
    alerts, mqtt, webhook = set(fired), set(receiver.mqtt), set(receiver.webhook)
    told = set(receiver.told)
    for name, missing, twice in (
        ("frames", wanted - set(seen), [key for key, count in seen.items() if count > 1]),
        ("alerts at mqtt", alerts - mqtt, mqtt - alerts),
        ("alerts at webhook", alerts - webhook, webhook - alerts),
        ("alerts to subscribers", alerts - told, told - alerts),
        ("keys", set(), [key for key, keys in receiver.keys.items() if len(keys) > 1]),
        ("decisions", set(), [key for key, count in fired.items() if count > 1]),
    ):
        outcome.lost += len(missing)
        outcome.doubled += len(twice)
        if missing or twice:
            outcome.problems.append(f"{name}: {len(missing)} lost, {len(twice)} doubled")
    for heard in (receiver.mqtt, receiver.webhook, receiver.told):
        outcome.again += sum(heard.values()) - len(heard)


def _count_commands(outcome: Outcome, record: Store, noted: str) -> None:
    """The command notes each alert that it is run for; at most once, and the record knows."""
    ran: Counter[str] = Counter()
    decoder = json.JSONDecoder()
    while noted := noted.lstrip():
        alert, end = decoder.raw_decode(noted)
        ran[alert["id"]] += 1
        noted = noted[end:]
    twice = [key for key, count in ran.items() if count > 1]
    outcome.doubled += len(twice)
    if twice:
        outcome.problems.append(f"commands: {len(twice)} doubled")
    for decision in record.decisions():
        if not decision.fired:
            continue
        rows = record.outbox_of(decision)
        state = next(row["state"] for row in rows if json.loads(row["action"])["kind"] == "command")
        outcome.unknown += state == "unknown"
        if state not in ("done", "unknown") or (state == "done" and not ran[decision.id]):
            outcome.hidden += 1
            if outcome.hidden <= 3:
                outcome.problems.append(
                    f"command of {decision.id}: {state}, ran {ran[decision.id]}"
                )

"""Measurements over a real mosquitto on loopback: throughput, latency, time to ready."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiomqtt
import msgpack
import numpy as np
import workload
from moteye.text.space import Space
from moteye_protocol import models

HERE = Path(__file__).resolve().parent
LATENCY_CAMERAS = 50
# Frames of a camera: none twice ends an episode, then the thing: each fourth frame is an alert.
PATTERN = (0, 0, 1, 1)


@contextmanager
def broker(folder: Path) -> Iterator[int]:
    """A mosquitto that lets 1,000 messages be unacknowledged and queues without limit."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n"
        "max_inflight_messages 1000\nmax_queued_messages 0\n"
    )
    process = subprocess.Popen(
        ["/usr/sbin/mosquitto", "-c", str(config)], stderr=subprocess.DEVNULL
    )
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


def events_per_s(side: str, port: int, messages: Path, count: int, *arguments: str) -> float:
    """How fast one side of `meter.py` takes what `flood.py` publishes."""
    meter = _python("meter.py", side, str(port), str(count), *arguments)
    assert meter.stdout is not None
    assert meter.stdout.readline().strip() == "ready"
    flood = _python("flood.py", str(port), str(messages))
    assert flood.stdin is not None
    assert flood.stdout is not None
    assert flood.stdout.readline().strip() == "ready"
    flood.stdin.write("\n")
    flood.stdin.flush()
    took_s = float(meter.stdout.readline())
    for process in (meter, flood):
        process.kill()
        process.wait()
    return count / took_s


def throughput(space: Space, folder: Path, *, devices: int, count: int, rounds: int) -> list[tuple]:
    """(bare, agent) events/s, one pair a round, side after side in the same minute."""
    policies = workload.write_policies(folder / "policies", workload.policy_texts(100))
    messages = folder / "messages"
    messages.write_bytes(msgpack.packb(list(workload.messages(space, count, devices))))
    found = []
    for number in range(rounds):
        with broker(folder) as port:
            bare = events_per_s("bare", port, messages, count)
        with broker(folder) as port:
            store = str(folder / f"throughput{number}.db")
            found.append((bare, events_per_s("agent", port, messages, count, store, str(policies))))
    return found


async def latencies_ms(space: Space, folder: Path, *, rate: float, seconds: float) -> list[float]:
    """From a device's PUBLISH to that of the `mqtt` action, as both leave and arrive here."""
    text = "see: a cup\ncertainty: p >= 0.5\ninstant: true\ncooldown: 0s\n"
    text += "then: [{mqtt: bench/alert}]\n"
    texts = {**workload.policy_texts(99), "cup": text}
    policies = workload.write_policies(folder / "latency", texts)
    policy = workload.parse_policy(text, "cup", "cup")
    bank = space.background.embeddings
    margins = space.compile([policy], number=1, dim=64).scorer.margins_q8(bank)[:, 0]
    views = [bank[int(margins.argmin())].tobytes(), bank[int(margins.argmax())].tobytes()]
    sent: dict[tuple[str, int], float] = {}
    found: dict[tuple[str, int], float] = {}
    with broker(folder) as port:
        meter = _python(
            "meter.py", "agent", str(port), "0", str(folder / "latency.db"), str(policies)
        )
        assert meter.stdout is not None
        assert (await asyncio.to_thread(meter.stdout.readline)).strip() == "ready"
        async with aiomqtt.Client("127.0.0.1", port) as client:
            await client.subscribe("bench/alert", 1)

            async def listen() -> None:
                async for message in client.messages:
                    now = time.perf_counter()
                    alert = json.loads(bytes(message.payload))
                    key = alert["camera"], alert["frame"]
                    found[key] = 1000 * (now - sent[key])

            listening = asyncio.create_task(listen())
            began = time.perf_counter()
            for number in range(int(rate * seconds)):
                wait_s = began + number / rate - time.perf_counter()
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                camera = workload.device_name(number % LATENCY_CAMERAS)
                frame = number // LATENCY_CAMERAS
                payload = _embedding(space, frame, views[PATTERN[frame % len(PATTERN)]])
                sent[camera, frame] = time.perf_counter()
                await client.publish(models.topic(camera, "embedding"), payload, qos=0)
            heard = -1
            while len(found) > heard:  # until two seconds bring no more
                heard = len(found)
                await asyncio.sleep(2)
            listening.cancel()
        meter.kill()
        meter.wait()
    # The first second fills caches on both sides.
    return [took for key, took in found.items() if sent[key] >= began + 1]


def ready_s(folder: Path, rounds: int) -> list[float]:
    """From the start of the process to a working agent; 100 policies whose phrases are cached."""
    policies = workload.write_policies(folder / "ready", workload.policy_texts(100))
    found = []
    for number in range(rounds + 1):  # the first fills the cache
        with broker(folder) as port:
            began = time.perf_counter()
            store = str(folder / f"ready{number}.db")
            meter = _python("meter.py", "agent", str(port), "0", store, str(policies))
            assert meter.stdout is not None
            assert meter.stdout.readline().strip() == "ready"
            found.append(time.perf_counter() - began)
            meter.kill()
            meter.wait()
    return found[1:]


def _embedding(space: Space, frame: int, view: bytes) -> bytes:
    message = models.Embedding(
        s=1,
        n=frame,
        t=None,
        up=100 * frame,
        frame=frame,
        at=100 * frame,
        encoder=space.encoder_hash,
        set=None,
        e=view,
        why="change",
        sim=0,
    )
    return models.encode(message)


def _python(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(HERE / arguments[0]), *arguments[1:]]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def p99(values: list[float]) -> float:
    """The 99th percentile."""
    return float(np.quantile(values, 0.99))

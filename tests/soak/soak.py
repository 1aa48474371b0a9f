"""The soak: the real firmware in MicroPython on a capped heap, for many frames.

    make soak                100,000 frames, 500 reconnects; prints the figures
    make soak ARGS="--frames 2000 --reconnects 20"

A device process with a small encoder (`--shipped`: with the shipped one, and its larger heap) sees
noise, so that each frame is news and is published.
Its line to a mosquitto is TLS and is cut again and again; after some cuts it swaps its prototype
set, by a delta where that is smaller. A ping after each cut asks for the memory in use after a
collection
(`gc.mem_alloc()`); resident memory and open files of the process are looked at beside it. The run
fails where one of them grows, where an error is in the log, or where a set does not arrive.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import itertools
import logging
import ssl
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiomqtt
import numpy as np
from moteye.camera.simulate import SimulatedDevice
from moteye.camera.sources import Frame
from moteye.cli.common import set_up_logs
from moteye.compiler import compile_model
from moteye.errors import MoteyeError
from moteye.link.devices import Device, Devices
from moteye.link.swap import swap
from moteye.resources import model_dir
from moteye_protocol import models, wire
from moteye_protocol.codec import unpack
from moteye_protocol.prototype_set import set_hash

ROOT = Path(__file__).resolve().parents[2]
for folder in ("tests", "tests/unit/device"):
    sys.path.append(str(ROOT / folder))

from random_nets import tiny_encoder  # noqa: E402
from support.certificates import Authority  # noqa: E402
from support.live import until  # noqa: E402
from support.sets import without_rows  # noqa: E402
from support.tls_broker import tls_broker  # noqa: E402
from system.device.device_bench import Proxy, prototype_set  # noqa: E402

SMALL_HEAP_BYTES = 500_000  # two sets of 64 KiB, a pack of 35 KB; the rest is to live on
SHIPPED_HEAP_BYTES = 1_500_000  # the pack alone has 0.8 MB
MAX_SET_BYTES = 65536
ID = "soak"
SIDE = (48, 32)
WARM_UP = 0.1  # of the samples
CUTS_A_SWAP = 5
SESSION_S = 1.1  # a shorter one counts as unhealthy, and the next try would wait
ANSWER_S = 60
MAX_GROWTH_BYTES = 4096  # of the heap, between the second quarter's median and the last's
MAX_RESIDENT_GROWTH_KB = 1024


class Noise:
    """Frames of noise, each unlike the last, as fast as they are asked for."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.count = 0

    async def next_frame(self, after: int) -> Frame:
        self.count = after + 1
        level = int(self._rng.integers(0, 200))
        rgb = self._rng.integers(level, level + 56, (SIDE[1], SIDE[0], 3)).astype(np.uint8)
        return Frame(self.count, time.monotonic(), rgb)

    async def aclose(self) -> None:
        """Nothing is held."""


@dataclasses.dataclass
class Sample:
    """The process at one moment; bytes but for `resident_kb`."""

    frames: int
    heap: int
    resident_kb: int
    files: int


@dataclasses.dataclass
class Report:
    """What a soak found."""

    heap_bytes: int = 0
    frames: int = 0
    reconnects: int = 0
    swaps: int = 0
    messages: int = 0
    seconds: float = 0.0
    samples: list[Sample] = dataclasses.field(default_factory=list)
    errors: list[str] = dataclasses.field(default_factory=list)

    def quarter(self, name: str, number: int) -> float:
        """The median of a figure in the `number`th quarter after the warm-up, from 0."""
        warm = self.samples[int(len(self.samples) * WARM_UP) :]
        part = warm[len(warm) * number // 4 : len(warm) * (number + 1) // 4]
        return statistics.median(getattr(sample, name) for sample in part)

    def growth(self, name: str) -> float:
        """How much a figure grew from the second quarter to the last."""
        return self.quarter(name, 3) - self.quarter(name, 1)

    @property
    def problems(self) -> list[str]:
        """What speaks against the run; empty when it passed."""
        found = list(self.errors)
        if self.growth("heap") > MAX_GROWTH_BYTES:
            found.append(f"the heap grew by {self.growth('heap'):.0f} bytes")
        if self.growth("resident_kb") > MAX_RESIDENT_GROWTH_KB:
            found.append(f"the process grew by {self.growth('resident_kb'):.0f} KB")
        if self.growth("files") > 0:
            found.append(f"{self.growth('files'):.0f} more files are open")
        return found


class Owner:
    """The agent's own code for devices, on a connection that is not cut."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self.devices = Devices(self.publish)
        self.messages = 0
        self._free = 0  # bytes, by the device's last answer to a ping

    async def publish(self, topic: str, payload: bytes) -> None:
        await self._client.publish(topic, payload, 1)

    async def listen(self) -> None:
        async for raw in self._client.messages:
            self.messages += 1
            assert isinstance(raw.payload, bytes)
            topic = str(raw.topic)
            if topic == models.topic(ID, "reply"):
                self._free = unpack(raw.payload).get("memory", self._free)
            self.devices.receive(topic, raw.payload, bool(raw.retain))

    async def device(self) -> Device:
        def found() -> Device | None:
            device = self.devices.all.get(ID)
            return device if device is not None and device.online else None

        return await until(found, "the device", ANSWER_S)

    async def memory(self) -> int:
        """Bytes that are free on the device's heap; asks until it is heard."""
        async with asyncio.timeout(ANSWER_S):
            while True:
                with contextlib.suppress(MoteyeError):
                    await self.devices.request(await self.device(), "ping")
                    return self._free

    async def swap(self, data: bytes, base: bytes | None) -> None:
        """Bring a set onto the device, however often the line is cut meanwhile."""
        async with asyncio.timeout(ANSWER_S):
            while (found := await self.device()).set_hash != set_hash(data):
                with contextlib.suppress(MoteyeError):
                    await swap(self.devices, self.publish, found, data, base)


class CutLine(Proxy):
    """A line that can be cut: both ends are reset."""

    def cut(self) -> None:
        for task in list(self._tasks):
            task.cancel()


def _sample(process_id: int, frames: int, heap: int) -> Sample:
    folder = Path(f"/proc/{process_id}")
    resident = next(
        int(line.split()[1])
        for line in (folder / "status").read_text().splitlines()
        if line.startswith("VmRSS")
    )
    return Sample(frames, heap, resident, len(list((folder / "fd").iterdir())))


async def _cut_and_measure(
    report: Report, owner: Owner, line: CutLine, device: SimulatedDevice, noise: Noise
) -> None:
    """Cut the line, and look at the device when it is back."""
    before = line.connections
    line.cut()
    await until(lambda: line.connections > before, "the device to come back", ANSWER_S)
    report.reconnects += 1
    heap = report.heap_bytes - await owner.memory()
    process = device._process
    assert process is not None
    report.samples.append(_sample(process.pid, noise.count, heap))


def _sets(encoder_hash: bytes) -> list[bytes]:
    found = []
    for number in range(2, 8, 2):
        whole = prototype_set(encoder_hash, rows=60, number=number, seed=number)
        found += [without_rows(whole, 30), whole]
    return found


def _encoder(folder: Path, *, shipped: bool) -> Path:
    if shipped:
        return model_dir() / "encoder.mpk"
    pack = folder / "small.mpk"
    pack.write_bytes(compile_model(tiny_encoder(3)))
    return pack


async def soak(
    folder: Path, *, frames: int, reconnects: int, shipped: bool = False, progress: bool = False
) -> Report:
    """Run until so many frames were seen and so many lines cut; both at least."""
    report, noise, began = Report(), Noise(1), time.monotonic()
    report.heap_bytes = SHIPPED_HEAP_BYTES if shipped else SMALL_HEAP_BYTES
    async with contextlib.AsyncExitStack() as stack:
        authority = Authority(folder)
        server = authority.issue("server", host="localhost")
        broker = await stack.enter_async_context(tls_broker(folder, server))
        line = await stack.enter_async_context(CutLine(broker.port))
        context = ssl.create_default_context(cafile=str(authority.ca))
        client = aiomqtt.Client("localhost", broker.port, tls_context=context)
        owner = Owner(await stack.enter_async_context(client))
        await client.subscribe(f"{wire.TOPIC_ROOT}/{ID}/#", 1)
        listening = asyncio.create_task(owner.listen())
        device = SimulatedDevice(
            device_id=ID,
            broker_host="127.0.0.1",
            broker_port=line.port,
            broker={"tls": True, "ca": str(authority.ca), "server_name": "localhost"},
            camera_spec=noise,
            data_dir=folder / "flash",
            interval_ms=0,
            encoder=_encoder(folder, shipped=shipped),
            heap=str(report.heap_bytes),
            settings={"change_below_q8": 257, "healthy_s": 1, "max_set_bytes": MAX_SET_BYTES},
        )
        await stack.enter_async_context(device)
        birth = (await owner.device()).birth
        assert birth is not None
        sets, base = itertools.cycle(_sets(birth.encoder)), None
        while noise.count < frames or report.reconnects < reconnects:
            if listening.done():
                listening.result()
            await _cut_and_measure(report, owner, line, device, noise)
            if report.reconnects % CUTS_A_SWAP == 0:
                data = next(sets)
                await owner.swap(data, base)
                base = data
                report.swaps += 1
            await asyncio.sleep(SESSION_S)
            if progress and report.reconnects % 25 == 0:
                print(report.samples[-1], report.swaps, flush=True)
        listening.cancel()
        report.errors = [line for line in device.lines if _is_error(line)]
        report.frames, report.messages = noise.count, owner.messages
    report.seconds = time.monotonic() - began
    return report


def _is_error(line: str) -> bool:
    return any(word in line for word in ("MemoryError", "Traceback", "FAILED", "ALARM"))


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description="many frames on a capped heap")
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--reconnects", type=int, default=500)
    parser.add_argument("--shipped", action="store_true", help="with the shipped encoder")
    options = parser.parse_args()
    set_up_logs(level=logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="moteye-soak-") as folder:
        report = asyncio.run(
            soak(
                Path(folder),
                frames=options.frames,
                reconnects=options.reconnects,
                shipped=options.shipped,
                progress=True,
            )
        )
    heap = [sample.heap for sample in report.samples]
    print(f"frames             {report.frames:,} in {report.seconds:,.0f} s")
    print(f"messages           {report.messages:,}")
    print(f"reconnects (TLS)   {report.reconnects:,}")
    print(f"prototype sets     {report.swaps:,} swapped")
    print(f"heap               {report.heap_bytes:,} bytes")
    for name, unit in (("heap", "bytes"), ("resident_kb", "KB"), ("files", "")):
        shown = " ".join(f"{report.quarter(name, number):,.0f}" for number in range(4))
        print(f"{name:19}{shown} {unit} (median of each quarter of the run)")
    print(f"heap, most         {max(heap):,} bytes after a collection")
    print("\n".join(f"FAILED: {problem}" for problem in report.problems) or "passed")
    return int(bool(report.problems))


if __name__ == "__main__":
    sys.exit(main())

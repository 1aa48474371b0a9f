"""The receive path of a real device process, fed by a broker that has gone mad.

Thousands of random and mutated packets from a seed: no crash, no lost answer, bounded memory.
"""

import asyncio
import contextlib
import random
import time
from pathlib import Path

import pytest
from moteye.camera.simulate import SimulatedDevice
from moteye_protocol import models, wire
from moteye_protocol.codec import pack, unpack

DEVICE = "fuzzed"
ROUNDS = 6
BATCHES = 12
BATCH = 60
ANSWER_S = 20
HEALTHY_S = 1
LEAK_BYTES = 48 * 1024
GROWTH_KB = 2048


class MadBroker:
    """Accepts one device, acknowledges all it says, and says whatever it is told to."""

    def __init__(self):
        self.replies = {}
        self.connections = 0
        self.subscribed = asyncio.Event()
        self.lost = asyncio.Event()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        self._writer.close()

    async def _serve(self, reader, writer):
        self.connections += 1
        self._writer = writer
        self.lost.clear()
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                await self._packet(reader, writer)
        self.subscribed.clear()
        self.lost.set()

    async def _packet(self, reader, writer):
        first = (await reader.readexactly(1))[0]
        length = shift = 0
        while True:
            byte = (await reader.readexactly(1))[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        body = await reader.readexactly(length)
        match first >> 4:
            case 1:
                writer.write(b"\x20\x02\x00\x00")
            case 8:
                writer.write(b"\x90\x05" + body[:2] + b"\x01\x01\x01")
                self.subscribed.set()
            case 12:
                writer.write(b"\xd0\x00")
            case 3:
                end = 2 + int.from_bytes(body[:2], "big")
                qos = first >> 1 & 3
                if qos:
                    writer.write(b"\x40\x02" + body[end : end + 2])
                if body[2:end].decode() == models.topic(DEVICE, "reply"):
                    fields = unpack(body[end + (2 if qos else 0) :])
                    self.replies[fields["tid"]] = fields

    async def send(self, data):
        self._writer.write(data)
        await self._writer.drain()

    async def ping(self, tid):
        """The answer to a ping: everything sent before was dealt with."""
        command = {"v": 1, "tid": tid, "s": None, "issued": now_ms(), "op": "ping"}
        await self.send(publish(models.topic(DEVICE, "command"), pack(command)))
        async with asyncio.timeout(ANSWER_S):
            while tid not in self.replies:
                assert not self.lost.is_set(), "the device gave the connection up"
                await asyncio.sleep(0.005)
        return self.replies[tid]


def now_ms():
    return int(time.time() * 1000)


def publish(topic, payload, *, flags=0, pid=7):
    raw = topic.encode()
    head = len(raw).to_bytes(2, "big") + raw
    if flags & 0x06:
        head += pid.to_bytes(2, "big")
    body = head + payload
    out = bytearray([0x30 | flags])
    length = len(body)
    while True:
        low, length = length & 0x7F, length >> 7
        out.append(low | 0x80 if length else low)
        if not length:
            return bytes(out) + body


class Fuzzer:
    """Packets from a seed."""

    def __init__(self, seed):
        self.source = random.Random(seed)
        self._tids = 0

    def value(self, depth=0):
        source = self.source
        kind = source.randrange(9 if depth < 3 else 7)
        if kind == 0:
            return source.choice([None, True, False])
        if kind in (1, 2):
            return source.choice([-1, 0, 1, 63, 64, 255, 5000, 2**31, 2**53, 2**63, 2**64 - 1])
        if kind == 3:
            return source.choice([0.0, -1.5, 1e300])
        if kind == 4:
            return "".join(source.choices("abé\x00%s{}", k=source.randrange(40)))
        if kind in (5, 6):
            return source.randbytes(source.choice([0, 1, 8, 8, 32, 32, 200]))
        if kind == 7:
            return [self.value(depth + 1) for _ in range(source.randrange(5))]
        return {str(key): self.value(depth + 1) for key in range(source.randrange(5))}

    def command(self):
        source = self.source
        self._tids += 1
        fields = {
            "v": 1,
            "tid": f"f{self._tids}",
            "s": None,
            "issued": now_ms(),
            "op": source.choice(wire.OPERATIONS),
            "args": {
                "sha256": source.randbytes(32),
                "size": source.randrange(70_000),
                "set": source.randbytes(8),
                "frame": source.randrange(50),
            },
        }
        for _ in range(source.randrange(3)):
            where = fields if source.random() < 0.4 else fields["args"]
            if isinstance(where, dict) and where:
                where[source.choice(sorted(where))] = self.value()
                if not isinstance(fields["args"], dict):
                    break
        return fields

    def payload(self, name):
        source = self.source
        kind = source.randrange(6)
        if kind == 0:
            return source.randbytes(source.randrange(300))
        if kind == 1:
            return pack(self.value())
        if name == "command":
            fields = self.command()
        elif name == "set_chunk":
            fields = {"v": 1, "set": source.randbytes(8), "i": source.randrange(300)}
            fields["data"] = source.randbytes(source.randrange(1100))
            if kind == 2:
                fields[source.choice(sorted(fields))] = self.value()
        else:
            fields = {"v": 1, "s": source.randrange(9), "state": self.value()}
        payload = bytearray(pack(fields))
        if kind == 3:
            for _ in range(source.randrange(1, 4)):
                payload[source.randrange(len(payload))] = source.randrange(256)
        if kind == 4:
            del payload[source.randrange(len(payload)) :]
        return bytes(payload)

    def packet(self):
        """A PUBLISH that MQTT allows; what is in it is another matter."""
        source = self.source
        name = source.choice(["command", "command", "set_chunk", "set_chunk", "status", "birth"])
        payload = self.payload(name)
        if source.random() < 0.01:
            payload = bytes(source.choice([4097, 20_000]))
        flags = source.choice([0, 1, 2, 2, 3, 10])
        topic = models.topic(DEVICE, name) if source.random() < 0.97 else "é" * 30
        return publish(topic, payload, flags=flags, pid=source.randrange(1, 65536))

    def broken(self):
        """Bytes that no broker may send: the connection has to be given up, and nothing else."""
        source = self.source
        return source.choice(
            [
                b"\x00\x00",
                b"\xf0\xff\xff\xff\xff\x01",
                b"\x36\x05\x00\x01a\x00\x01",
                b"\x30\x03\x00\x09a",
                b"\x90\xff\xff\x7f" + bytes(9),
                b"\x32\x05\x00\x01a\x00\x00",
                b"\x30\x04\x00\x02\xff\xfe",
                b"\x20\x02\x00\x00",
            ]
        )


def resident_kb(device):
    text = Path(f"/proc/{device._process.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0])


@pytest.mark.parametrize("seed", [1, 2])
async def test_device_survives_a_mad_broker(tmp_path, seed):
    (tmp_path / "scene.yaml").write_text("shots: [{photo: '#808080', seconds: 1}]\n")
    fuzzer = Fuzzer(seed)
    free, resident = [], []
    async with MadBroker() as broker:
        async with SimulatedDevice(
            device_id=DEVICE,
            broker_host="127.0.0.1",
            broker_port=broker.port,
            camera_spec=f"scene:{tmp_path / 'scene.yaml'}",
            data_dir=tmp_path / "flash",
            frames=True,
            interval_ms=500,
            settings={"healthy_s": HEALTHY_S},
        ) as device:
            for round_ in range(ROUNDS):
                async with asyncio.timeout(ANSWER_S):
                    await broker.subscribed.wait()
                began = time.monotonic()
                for batch in range(BATCHES):
                    await broker.send(b"".join(fuzzer.packet() for _ in range(BATCH)))
                    reply = await broker.ping(f"p{round_}-{batch}")
                assert reply["ok"]
                free.append(reply["memory"])
                resident.append(resident_kb(device))
                await asyncio.sleep(max(0, began + 1.2 * HEALTHY_S - time.monotonic()))
                await broker.send(fuzzer.broken())
                async with asyncio.timeout(ANSWER_S):
                    await broker.lost.wait()
            assert device.running
            lines = "\n".join(device.lines)
    assert "Traceback" not in lines
    assert "FAILED" not in lines
    codes = {reply["code"] for reply in broker.replies.values()}
    assert "internal" not in codes
    assert codes <= set(wire.CODES)
    assert {"ok", "bad_argument", "malformed", "retained", "no_transfer"} <= codes
    assert min(free[1:]) > free[0] - LEAK_BYTES
    assert max(resident) - resident[0] < GROWTH_KB
    assert reply["malformed"] > ROUNDS * BATCHES * BATCH // 20

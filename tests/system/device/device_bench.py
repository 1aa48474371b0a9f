"""A real broker, real device processes, and lines between them that fail on purpose."""

import asyncio
import contextlib
import hashlib
import random
import socket
import time

import aiomqtt
import numpy as np
import pytest
from moteye_protocol import models, wire
from moteye_protocol.codec import unpack
from moteye_protocol.prototype_set import PrototypeSet
from support import live
from support.live import until

DEADLINE_S = 30
DEVICE = "cam1"


class Mosquitto(live.Mosquitto):
    """A mosquitto with further lines of configuration, in which PORT is its port."""

    def __init__(self, folder, *lines):
        super().__init__(folder)
        lines = lines or ("listener PORT 127.0.0.1", "allow_anonymous true")
        text = "\n".join((*lines, "user root", "set_tcp_nodelay true", ""))
        self._config.write_text(text.replace("PORT", str(self.port)))


class Host:
    """What a host sees of one device, and what it says to it."""

    def __init__(self, client, device):
        self.device = device
        self.messages = []  # (kind, message, retained), oldest first
        self.refused = []  # what is not of the wire; a test fails that finds any
        self.replies = {}  # every key of a reply, by tid
        self._client = client
        self._tids = 0

    async def listen(self):
        with contextlib.suppress(aiomqtt.MqttError):
            async for raw in self._client.messages:
                name = models.split_topic(str(raw.topic))[1]
                if raw.payload and wire.TOPICS[name][1] == "device":
                    self._take(name, raw.payload, raw.retain)

    def _take(self, name, payload, retain):
        try:
            self.messages.append((name, models.parse(name, payload), retain))
        except models.MessageError as error:
            self.refused.append(f"{name}: {error}")
        if name == "reply":
            fields = unpack(payload)
            self.replies[fields["tid"]] = fields

    def of(self, name, *, live=True):
        return [m for kind, m, retain in self.messages if kind == name and not (live and retain)]

    async def next(self, name, condition=lambda message: True, deadline_s=DEADLINE_S):
        """The first live message of a kind that meets the condition."""

        def found():
            return next((m for m in self.of(name) if condition(m)), None)

        return await until(found, f"a message {name} like that", deadline_s)

    async def publish(self, name, payload, *, retain=False):
        await self._client.publish(models.topic(self.device, name), payload, 1, retain)

    def command(self, op, *, args=None, **changes):
        self._tids += 1
        fields = {
            "v": 1,
            "tid": f"t{self._tids}",
            "s": None,
            "issued": int(time.time() * 1000),
            "ttl": 10_000,
            "op": op,
            "args": args or {},
        }
        return models.Command.model_construct(**{**fields, **changes})

    async def ask(self, op, *, deadline_s=DEADLINE_S, args=None, **changes):
        """Send a command; returns the reply."""
        command = self.command(op, args=args, **changes)
        await self.publish("command", models.encode(command))
        return await self.next("reply", lambda reply: reply.tid == command.tid, deadline_s)

    async def ask_until_heard(self, op, deadline_s):
        """Send a command again and again, as commands are lost while a device is away."""
        end = time.monotonic() + deadline_s
        while time.monotonic() < end:
            command = self.command(op)
            await self.publish("command", models.encode(command))
            with contextlib.suppress(pytest.fail.Exception):
                return await self.next("reply", lambda r, tid=command.tid: r.tid == tid, 0.5)
        return pytest.fail(f"no answer to {op} within {deadline_s} s")

    async def begin(self, data, deadline_s=DEADLINE_S, **changes):
        args = {"sha256": hashlib.sha256(data).digest(), "size": len(data), **changes}
        return await self.ask("set.begin", args=args, deadline_s=deadline_s)

    async def send_chunks(self, data, indices=None, name=None):
        count = -(-len(data) // wire.CHUNK_BYTES)
        for index in range(count) if indices is None else indices:
            start = index * wire.CHUNK_BYTES
            chunk = models.SetChunk(
                set=name or hashlib.sha256(data).digest()[:8],
                i=index,
                data=data[start : start + wire.CHUNK_BYTES],
            )
            await self.publish("set_chunk", models.encode(chunk))


@contextlib.asynccontextmanager
async def hosting(port, device=DEVICE):
    client = aiomqtt.Client("127.0.0.1", port)
    await client.__aenter__()
    host = Host(client, device)
    await client.subscribe(f"{wire.TOPIC_ROOT}/{device}/#", 1)
    task = asyncio.create_task(host.listen())
    yield host
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    with contextlib.suppress(aiomqtt.MqttError):  # the test may have stopped the broker
        await client.__aexit__(None, None, None)
    assert host.refused == []


async def late_status(port, state, device=DEVICE, deadline_s=DEADLINE_S):
    """Subscribe anew until the retained status is `state`; returns it."""
    end = time.monotonic() + deadline_s
    found = None
    while time.monotonic() < end:
        async with aiomqtt.Client("127.0.0.1", port) as client:
            await client.subscribe(models.topic(device, "status"), 1)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    message = await anext(client.messages)
                    found = models.parse("status", message.payload)
                    if found.state == state and message.retain:
                        return found
        await asyncio.sleep(0.05)
    return pytest.fail(f"retained status is {found}, not {state}, after {deadline_s} s")


class Proxy:
    """A line to the broker, in pieces of 1..`longest` random bytes; `silent` drops all, no RST."""

    def __init__(self, target_port, longest=None):
        self.port = 0
        self.longest = longest
        self.silent = False
        self.connections = 0
        self._target_port = target_port
        self._random = random.Random(1)
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        self.connections += 1
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        for one, other in ((reader, far_writer), (far_reader, writer)):
            other.transport.get_extra_info("socket").setsockopt(
                socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
            )
            task = asyncio.create_task(self._pump(one, other))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, reader, writer):
        try:
            while data := await reader.read(4096):
                if self.silent:
                    continue
                at = 0
                while at < len(data):
                    size = self._random.randint(1, self.longest) if self.longest else len(data)
                    writer.write(data[at : at + size])
                    await writer.drain()
                    at += size
                    if self.longest:
                        await asyncio.sleep(0)
        except OSError:
            pass
        finally:
            writer.close()


def prototype_set(encoder_hash, *, rows=40, dim=64, number=1, seed=1):
    """The bytes of a set of random prototypes."""
    source = np.random.default_rng(seed)
    planes = wire.SET_DIMS.index(dim) + 1
    return PrototypeSet(
        encoder_hash=encoder_hash,
        number=number,
        names=tuple(f"class {row}" for row in range(rows)),
        codes=source.integers(-8, 8, (rows, dim)).astype(np.int8),
        scale=source.integers(1, 200, (planes, rows)).astype(np.uint8),
        mult=source.integers(0, 65536, (planes, rows)).astype(np.uint16),
        offset=source.integers(-500, 500, (planes, rows)).astype(np.int16),
        shift=(12,) * planes,
        report_q8=-32000,
    ).encode()

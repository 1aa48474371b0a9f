"""The line to the broker: T05, T06, T09, T10, T11, T12, T61."""

import asyncio
import contextlib
import os
import signal
import time
import zlib
from itertools import pairwise
from pathlib import Path

import pytest
from moteye_protocol import models
from moteye_protocol.codec import unpack
from moteye_protocol.prototype_set import set_hash
from support.live import until
from system.device.device_bench import DEVICE, Mosquitto, Proxy, hosting, late_status, prototype_set


async def test_t05_command_is_heard_after_a_restart_without_state(broker, make_device, host):
    async with make_device():
        await host.next("birth")
        assert (await host.ask("ping")).ok
        await broker.stop()
        await broker.start()
        started = time.monotonic()
        async with hosting(broker.port) as later:
            assert (await later.ask_until_heard("ping", 10)).ok
        assert time.monotonic() - started <= 10


class FakeBroker:
    """Accepts, grants, and records PUBLISH packets; acknowledges only when told to."""

    def __init__(self):
        self.acknowledge = False
        self.published = []  # (connection, DUP, packet id, topic, payload)
        self.connections = 0
        self._writer = None

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        self.drop()

    def drop(self):
        if self._writer is not None:
            self._writer.close()

    async def _serve(self, reader, writer):
        self.connections += 1
        self._writer = writer
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                await self._packet(self.connections, reader, writer)

    async def _packet(self, connection, reader, writer):
        first = (await reader.readexactly(1))[0]
        length = shift = 0
        while True:
            byte = (await reader.readexactly(1))[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        body = await reader.readexactly(length)
        kind = first >> 4
        if kind == 1:
            writer.write(b"\x20\x02\x00\x00")
        elif kind == 8:
            writer.write(b"\x90\x05" + body[:2] + b"\x01\x01\x01")
        elif kind == 12:
            writer.write(b"\xd0\x00")
        elif kind == 3:
            end = 2 + int.from_bytes(body[:2], "big")
            qos = first >> 1 & 3
            pid = int.from_bytes(body[end : end + 2], "big") if qos else 0
            payload = body[end + 2 if qos else end :]
            entry = (connection, bool(first & 8), pid, body[2:end].decode(), payload)
            self.published.append(entry)
            if qos and self.acknowledge:
                writer.write(b"\x40\x02" + pid.to_bytes(2, "big"))

    def embeddings(self, connection):
        topic = models.topic(DEVICE, "embedding")
        found = [entry for entry in self.published if entry[0] == connection and entry[3] == topic]
        return [(dup, pid, unpack(payload)["n"]) for _, dup, pid, _, payload in found]


async def test_t06_unacknowledged_embeddings_come_again_with_dup(make_device):
    async with FakeBroker() as fake, make_device(port=fake.port):
        sent = await until(lambda: fake.embeddings(1), "embeddings")
        fake.acknowledge = True
        fake.drop()
        await until(lambda: len(fake.embeddings(2)) > len(sent), "the same again")
        again = fake.embeddings(2)
        topics = [entry[3] for entry in fake.published if entry[0] == 2][:3]
    # telemetry that found no room was dropped; what was on the line and kept is the same message
    numbers = {number: pid for _, pid, number in fake.embeddings(1)}
    twins = [(pid, number) for dup, pid, number in again if dup and number in numbers]
    assert twins
    assert all(numbers[number] == pid for pid, number in twins)
    assert topics == [models.topic(DEVICE, name) for name in ("status", "birth", "set_state")]


@pytest.mark.parametrize("longest", [1, 7, 200])
async def test_t09_any_fragments_carry_sets_and_pictures(
    broker, make_device, host, encoder_hash, longest
):
    data = prototype_set(encoder_hash, rows=100 if longest > 1 else 20, dim=64)
    async with Proxy(broker.port, longest) as proxy:
        async with make_device(port=proxy.port, frames=True) as device:
            await host.next("birth")
            await host.begin(data)
            await host.send_chunks(data)
            state = await host.next(
                "set_state", lambda s: s.state in ("confirmed", "refused", "reverted")
            )
            assert (state.state, state.set) == ("confirmed", set_hash(data))
            for _ in range(10):
                assert (await host.ask("ping")).ok
            frame = host.of("embedding")[-1].frame
            assert (await host.ask("frame.get", args={"frame": frame})).ok
            chunks = await until(
                lambda: len(host.of("frame")) >= 225 and host.of("frame"), "chunks"
            )
            picture = b"".join(chunk.data for chunk in sorted(chunks, key=lambda chunk: chunk.i))
            assert zlib.crc32(picture) == chunks[0].crc
            assert not any("lost" in line for line in device.lines)


@pytest.mark.parametrize("size", [4097, 16_384, 200_000])
async def test_t10_oversize_payload_is_skipped_and_counted(make_device, host, size):
    async with make_device() as device:
        await host.next("birth")
        await host.publish("command", bytes(size))
        reply = await host.ask("ping")
        assert reply.ok
        await device.wait_for_line(f"skipped a payload of {size} bytes")
        assert not any("lost" in line for line in device.lines)


@contextlib.contextmanager
def stalled(device):
    """What a long encode does to the loop: nothing of the process runs."""
    process = device._process
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


async def test_t11_stall_below_the_limit_keeps_the_connection(broker, make_device, host):
    async with make_device(keepalive_s=2) as device:
        await host.next("embedding")
        for _ in range(3):
            with stalled(device):
                await asyncio.sleep(0.9 * 2)  # the fault itself lasts this long
            before = len(host.of("embedding"))
            await until(lambda seen=before: len(host.of("embedding")) > seen, "embeddings")
        assert not any("lost" in line for line in device.lines)


async def test_t11_stall_above_the_limit_reconnects_without_losing_results(make_device, host):
    async with make_device(keepalive_s=2) as device:
        await host.next("embedding")
        with stalled(device):
            await host.next("status", lambda status: status.state == "offline")
        await host.next("birth", lambda birth: birth.n > 1)
        assert (await host.ask("ping")).ok
        numbers = sorted({message.n for message in host.of("embedding")})
        others = {m.n for kind, m, _ in host.messages if kind not in ("embedding", "status")}
    missing = set(range(max(numbers))) - set(numbers) - others
    # only retained state, which is told anew at every connect, may have been skipped
    assert len(missing) <= 3
    assert device.lines[-1].endswith("device: stopped")


KEEPALIVE_SCRIPT = """
from device import Device

class Stub:
    pass

for encode_ms, keepalive_s in ((10, 5), (1700, 6), (20000, 61)):
    it = Stub()
    it._config, it._eye, it._client = {"keepalive_s": 5}, Stub(), Stub()
    it._eye.encode_ms, it._client.keepalive_s = encode_ms, 0
    Device._derive_keepalive(it)
    assert it._client.keepalive_s == keepalive_s, it._client.keepalive_s
    assert it._client.keepalive_s * 1000 >= 3 * encode_ms
"""


async def test_t11_keepalive_is_three_times_the_slowest_encode(make_device, tmp_path):
    device = make_device()
    process = await asyncio.create_subprocess_exec(
        device._micropython,
        *("-c", KEEPALIVE_SCRIPT),
        cwd=tmp_path,
        env={"MICROPYPATH": device.micropypath},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


async def test_t12_silent_line_is_declared_lost_in_time(broker, make_device):
    keepalive_s = 2
    async with Proxy(broker.port) as proxy:
        async with make_device(port=proxy.port, keepalive_s=keepalive_s) as device:
            async with hosting(broker.port) as host:
                await host.next("embedding")
                proxy.silent = True
                silenced = time.monotonic()
                await device.wait_for_line("lost: no PINGRESP")
                took_s = time.monotonic() - silenced
                last = host.of("embedding")[-1]
                proxy.silent = False
                found = await host.next("embedding", lambda e: e.n > last.n)
                resumed = await host.next("embedding", lambda e: e.n > found.n + 10)
    assert took_s <= 1.5 * keepalive_s + 0.3
    # frames were looked at during the outage: the oldest that was kept is younger than its end
    outage = [e for e in host.of("embedding") if last.n < e.n < resumed.n]
    steps = [b.at - a.at for a, b in pairwise(outage)]
    assert max(steps) < 1000 * (2 * keepalive_s + 4)
    assert resumed.frame > last.frame


async def test_t12_loop_never_stalls_while_the_line_is_silent(broker, make_device):
    async with Proxy(broker.port) as proxy:
        async with make_device(port=proxy.port, keepalive_s=2, interval_ms=20) as device:
            await late_status(broker.port, "online")
            source = device._camera._source
            asked = []
            render = source.render
            source.render = lambda *at: asked.append(time.monotonic()) or render(*at)
            proxy.silent = True
            await device.wait_for_line("lost: no PINGRESP")
            await device.wait_for_line("no CONNACK in time")
            proxy.silent = False
    gaps = [b - a for a, b in pairwise(asked)]
    assert len(gaps) > 50
    assert max(gaps) < 1


async def test_t04_device_that_is_thrown_out_again_and_again_waits_long(make_device):
    async with FakeBroker() as fake, make_device(port=fake.port) as device:
        for connection in range(1, 4):
            await until(lambda n=connection: fake.embeddings(n), "an embedding")
            fake.drop()
        await device.wait_for_line("ALARM: short sessions; is there another client 'cam1'?")
        alarm = next(at for at, line in enumerate(device.lines) if "ALARM" in line)
        line = await device.wait_for_line("next try in", after=alarm)
        assert 30_000 <= int(line.split()[-2]) <= 60_000
        assert device.running


async def test_t61_many_reconnects_leave_nothing_behind(make_device):
    def held(process):
        return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))

    async with FakeBroker() as fake:
        fake.acknowledge = True
        async with make_device(port=fake.port, settings={"healthy_s": 1}) as device:
            counts = []
            for connection in range(1, 7):
                await until(lambda n=connection: len(fake.embeddings(n)) > 12, "embeddings")
                counts.append(held(device._process))
                fake.drop()
    assert counts == counts[:1] * 6


async def test_refused_connection_names_the_reason(tmp_path, make_device):
    lines = ("listener PORT 127.0.0.1", "allow_anonymous false")
    closed = Mosquitto(tmp_path, *lines)
    await closed.start()
    try:
        async with make_device(port=closed.port) as device:
            await device.wait_for_line("refused: this user may not connect")
            assert not any("online" in line for line in device.lines)
    finally:
        await closed.stop()

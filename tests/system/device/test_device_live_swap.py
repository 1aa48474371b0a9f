"""Swaps on a device that looks at pictures meanwhile: nothing mixed, nothing missed (T31, T33)."""

import asyncio
import hashlib
import json
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from moteye.core.scoring import Scorer
from moteye.resources import checkout
from moteye_protocol import models, wire
from moteye_protocol.codebook_set import read_set
from moteye_protocol.prototype_set import set_hash
from support.live import until
from support.sets import random_codebook, random_set
from system.device.device_bench import prototype_set

SWAPS = 1000
FRAMES_PER_SET = 3
LIVE_SWAPS = 6
INTERVAL_MS = 50
QUIET_FRAMES = 12

# Runs in MicroPython: the device's own swap over flash in memory, a frame between any two steps.
_SCRIPT = """
import array, hashlib, json, sys
sys.path[:] = [{firmware!r}, {protocol!r}]
import log
log.log = lambda text: None
from flash import RamFlash
from mqtt_outbox import ACKED
from slots import flash_bytes
from swap import Swap
class Said:
    state = ACKED
files = [open({folder!r} + "/" + str(i), "rb").read() for i in range({count})]
shas = [hashlib.sha256(data).digest() for data in files]
encoder, embedding = files[0][8:16], bytearray(open({folder!r} + "/e", "rb").read())
def publish():
    swap.told = Said()
swap = Swap(RamFlash(flash_bytes(32768, 4096)), True, encoder, 64, 32768, 5000, publish)
swap.boot(None, None)
digest = hashlib.sha256()
frames = 0
def look():
    global frames
    swap.looked(embedding)
    if swap.active is None:
        return
    active = swap.active
    active.prototypes.match(embedding, active.margins)
    digest.update(active.hash)
    digest.update(bytes(active.margins))
    frames += 1
now = 0
for turn in range({swaps}):
    data, sha = files[turn % len(files)], shas[turn % len(files)]
    code, more = swap.begin(sha, len(data), now)
    assert code == "ok", code
    look()
    for index in more["missing"]:
        swap.chunk(sha[:8], index, data[1024 * index : 1024 * index + 1024], now)
        look()
    for _ in range(3):
        look()
    now += 200
    swap.tick(now)
    assert swap.fields()["state"] == "confirmed", swap.fields()
    look()
print(json.dumps([digest.digest().hex(), frames]))
"""


def test_t33_every_result_over_a_thousand_swaps_is_of_one_whole_set(tmp_path):
    rng = np.random.default_rng(1)
    fields = {"encoder_hash": b"encoder8", "report_q8": -32768, "epoch": 1}
    sets = [replace(random_set(30, 64, n), **fields, shift=(12,) * 3).encode() for n in range(3)]
    sets.append(replace(random_codebook(30, 64, 4), **fields, shift=12).encode())
    embedding = rng.integers(-128, 128, (1, 256)).astype(np.int8)
    for number, data in enumerate(sets):
        (tmp_path / str(number)).write_bytes(data)
    (tmp_path / "e").write_bytes(embedding.tobytes())
    root = checkout()
    script = tmp_path / "script.py"
    script.write_text(
        _SCRIPT.format(
            firmware=str(root / "device" / "firmware"),
            protocol=str(root / "protocol"),
            folder=str(tmp_path),
            count=len(sets),
            swaps=SWAPS,
        )
    )
    micropython = root / "build" / "firmware" / "unix" / "micropython"
    done = subprocess.run(
        [str(micropython), "-X", "heapsize=2m", str(script)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    digest, frames = json.loads(done.stdout.splitlines()[-1])
    assert (digest, frames) == expected(sets, embedding)


def expected(sets, embedding):
    """The same course on the host: which set answers each frame, and with which numbers."""
    rows = []
    for data in sets:
        margins = Scorer(read_set(data), 64).margins_q8(embedding)[0]
        chunks = -(-len(data) // wire.CHUNK_BYTES)
        rows.append((set_hash(data) + margins.astype("<i2").tobytes(), chunks))
    digest, frames = hashlib.sha256(), 0
    for turn in range(SWAPS):
        old, (new, chunks) = rows[(turn - 1) % len(rows)][0], rows[turn % len(rows)]
        before = [] if turn == 0 else [old] * chunks  # after `begin` and all chunks but the last
        for result in [*before, *[new] * 5]:
            digest.update(result)
            frames += 1
    return digest.hexdigest(), frames


@pytest.mark.timeout(120)
async def test_t33_live_swaps_lose_no_frame_and_mix_no_table(host, make_device, encoder_hash):
    sets = [prototype_set(encoder_hash, rows=20 + n, seed=n, number=n + 1) for n in range(3)]
    known = {set_hash(data): Scorer(read_set(data), 64) for data in sets}
    settings = {"change_below_q8": 257}  # every frame is told
    async with make_device(interval_ms=INTERVAL_MS, settings=settings) as _:
        await until(lambda: len(host.of("embedding")) > QUIET_FRAMES, "frames without a swap")
        quiet = len(host.of("embedding"))
        for turn in range(LIVE_SWAPS):
            data = sets[turn % 3]
            assert (await host.begin(data)).ok
            await host.send_chunks(data)
            name = set_hash(data)
            await until(
                lambda name=name: (s := host.of("set_state")[-1]).state == "confirmed"
                and s.set == name,
                "the confirmation",
            )
        ping = await host.ask("ping")
    embeddings = {e.frame: e for e in host.of("embedding")}
    told = [d for d in host.of("detections") if d.frame in embeddings]
    assert len({d.set for d in told}) == 3
    for detection in told:
        vector = np.frombuffer(embeddings[detection.frame].e, np.int8)[None]
        margins = known[detection.set].margins_q8(vector)[0]
        assert embeddings[detection.frame].set == detection.set
        assert all(int(margins[row]) == margin for row, margin, _ in detection.rows)
    ats = [e.at for e in sorted(embeddings.values(), key=lambda e: e.frame)]
    encode_ms = host.replies[ping.tid]["encode_ms"]
    usual_ms = float(np.median(np.diff(ats[:quiet])))
    # swaps take no frame more time than one inference
    assert float(np.median(np.diff(ats[quiet:]))) <= usual_ms + encode_ms


class SlowLine:
    """A host whose chunks cross a line of 10 KB/s, and which is cut after each `cut_after`."""

    bytes_per_s = 10_000

    def __init__(self, host):
        self.host = host
        self.sent = []

    async def send(self, data, indices, cut_after):
        for count, index in enumerate(indices):
            if count == cut_after:
                return
            start = index * wire.CHUNK_BYTES
            piece = data[start : start + wire.CHUNK_BYTES]
            chunk = models.SetChunk(set=set_hash(data), i=index, data=piece)
            self.sent.append(index)
            await self.host.publish("set_chunk", models.encode(chunk))
            await asyncio.sleep(len(piece) / self.bytes_per_s)


@pytest.mark.timeout(120)
async def test_t31_thousand_classes_over_a_slow_line_resume_after_each_cut(
    host, make_device, encoder_hash
):
    data = prototype_set(encoder_hash, rows=1000)
    chunks = -(-len(data) // wire.CHUNK_BYTES)
    line = SlowLine(host)
    async with make_device() as device:
        birth = await host.next("birth")
        for cut_after in (7, 1, 19, 0, None):  # chunks until the line, and the power, are cut
            reply = await host.begin(data)
            assert reply.ok, reply
            assert not set(line.sent) & set(reply.missing), "what it has is not asked for again"
            await line.send(data, reply.missing, cut_after)
            if cut_after is None:
                break
            assert (await host.ask("ping")).ok  # all that was sent has been stored by now
            await device.kill()
            await device.restart()
            birth = await host.next("birth", lambda later, before=birth: later.s > before.s)
        await host.next("set_state", lambda state: state.state == "confirmed")
    assert sorted(line.sent) == list(range(chunks)), "each chunk crossed the line once"

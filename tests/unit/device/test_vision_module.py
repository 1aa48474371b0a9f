"""The module `vision` in the real MicroPython: the C's numbers, no allocation, clear errors."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from kernel_library import ROOT, Kernels
from moteye.compiler import compile_model, encoder_hash
from moteye.core.found import BoxFinder
from moteye.core.scoring import Scorer
from moteye_protocol.boxes import pack_boxes
from moteye_protocol.codebook_set import read_set
from moteye_protocol.wire import CELL_BYTES
from random_nets import tiny_encoder
from reference import box_resize, prob_q8, similarity_q8
from support.sets import random_codebook
from support.stock_board import make_romfs
from test_scoring import HASH, Parts

# Every script runs with its inputs in the folder `data` and prints one line of JSON.
_PROLOGUE = """
import json, micropython, sys, vision
from array import array
def load(name):
    with open(DATA + "/" + name, "rb") as f:
        return f.read()
def ints(buffer):
    return [b - 256 if b > 127 else b for b in buffer]
def refused(call, *args):
    try:
        call(*args)
    except (ValueError, TypeError, IndexError, AttributeError) as e:
        return type(e).__name__ + ": " + str(e)
    return "accepted"
"""


@pytest.fixture(scope="module")
def pack() -> bytes:
    return compile_model(tiny_encoder(5, side=32))


@pytest.fixture
def run(micropython: Path, tmp_path: Path, pack: bytes):
    """run(script, name=bytes, …): what the script prints, as JSON."""

    def run_script(script: str, **files: bytes):
        for name, data in {"pack": pack, **files}.items():
            (tmp_path / name).write_bytes(data)
        program = tmp_path / "script.py"
        program.write_text(f"DATA = {str(tmp_path)!r}\n{_PROLOGUE}\n{script}")
        result = subprocess.run(
            [str(micropython), "-X", "heapsize=4m", str(program)], capture_output=True, text=True
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return json.loads(result.stdout.splitlines()[-1])

    return run_script


def test_encode_equals_the_kernels(run, kernels: Kernels, pack: bytes) -> None:
    rng = np.random.default_rng(0)
    sizes = [(1, 1), (5, 3), (32, 32), (160, 120), (33, 70)]
    frames = [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for w, h in sizes]
    script = f"""
encoder = vision.Encoder(load("pack"))
out = bytearray(encoder.dim)
result = []
for i, (w, h) in enumerate({sizes}):
    encoder.encode(load("frame%d" % i), w, h, out)
    result.append(ints(out))
print(json.dumps(result))
"""
    got = run(script, **{f"frame{i}": frame.tobytes() for i, frame in enumerate(frames)})
    model = kernels.open(pack)
    assert got == [model.encode(frame).tolist() for frame in frames]


def test_cells_behind_the_embedding_are_boxes(run, kernels: Kernels) -> None:
    pack = compile_model(tiny_encoder(6, side=32, dim=256 + 9 * CELL_BYTES))
    rng = np.random.default_rng(3)
    frame = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    parts = Parts(rng, 9)
    script = """
encoder = vision.Encoder(load("pack"))
prototypes = vision.Prototypes(load("set"), b"encoder!", 64)
out, boxes = bytearray(encoder.out_bytes), bytearray(16 * 12)
encoder.encode(load("frame"), 50, 40, out)
micropython.heap_lock()
count = prototypes.boxes(out, encoder.side, boxes)
micropython.heap_unlock()
few = bytearray(12)
prototypes.boxes(out, encoder.side, few)
print(json.dumps([encoder.side, encoder.dim, ints(out), ints(boxes[: 12 * count]), ints(few),
    refused(prototypes.boxes, out, 2, boxes), refused(prototypes.boxes, out, 13, boxes)]))
"""
    given = run(script, pack=pack, frame=frame.tobytes(), set=parts.file())
    side, dim, out, boxes, few, *refusals = given
    assert (side, dim) == (3, 256)
    assert out == kernels.open(pack).encode(frame).tolist()
    cells = np.array(out[256:], np.int8).reshape(3, 3, CELL_BYTES)
    expected = BoxFinder(read_set(parts.file()), 64).find(cells)
    assert len(expected) > 1
    assert np.array(boxes, np.int8).tobytes() == pack_boxes(expected)
    assert np.array(few, np.int8).tobytes() == pack_boxes(expected[:1])
    assert refusals == ["ValueError: out size", "ValueError: out of range"]


def test_encoder_attributes(run, kernels: Kernels, pack: bytes) -> None:
    script = """
e = vision.Encoder(load("pack"))
print(json.dumps([e.width, e.height, e.dim, e.arena_bytes, e.macs]))
"""
    header = kernels.open(pack).header
    assert run(script) == [32, 32, 256, header.arena_bytes, header.macs]


def test_encode_and_match_allocate_nothing(run) -> None:
    parts = Parts(np.random.default_rng(1), 7)
    script = f"""
encoder = vision.Encoder(load("pack"))
prototypes = vision.Prototypes(load("set"), {HASH!r}, 64)
frame, out, margins = bytearray(40 * 30 * 3), bytearray(256), array("h", [0] * 7)
small = bytearray(8 * 8 * 3)
def work():
    encoder.encode(frame, 40, 30, out)
    prototypes.match(out, margins)
    vision.box_resize(frame, 40, 30, small, 8, 8)
    return vision.prob_q8(margins[0]) + vision.similarity_q8(out, out, 64)
work()
micropython.heap_lock()
value = work()
micropython.heap_unlock()
print(json.dumps(value >= 0))
"""
    assert run(script, set=parts.file()) is True


def test_prototypes_equal_the_definition(run) -> None:
    rng = np.random.default_rng(2)
    parts = Parts(rng, 23)
    embedding = rng.integers(-128, 128, 256).astype(np.int8)
    script = f"""
data, embedding = load("set"), load("embedding")
result = []
for dim in (16, 32, 64, 128, 256):
    p = vision.Prototypes(data, {HASH!r}, dim)
    margins = array("h", [0] * p.count)
    p.match(embedding, margins)
    whole = array("h", [0] * (p.count + 5))
    p.match(memoryview(embedding)[:dim], memoryview(whole)[2 : 2 + p.count])
    assert list(whole)[2:-3] == list(margins)
    result.append(list(margins))
names = [p.name(i) for i in range(p.count)]
print(json.dumps([result, names, [p.count, p.dim, p.number, p.epoch, p.report_q8]]))
"""
    margins, names, rest = run(script, set=parts.file(), embedding=embedding.tobytes())
    assert margins == [parts.margins(embedding, dim).tolist() for dim in (16, 32, 64, 128, 256)]
    assert names == parts.names
    assert rest == [23, 256, 42, 7, -3]


def test_module_matches_a_codebook_and_names_the_best(run) -> None:
    prototypes = replace(random_codebook(40, 64, 5, names=False), encoder_hash=HASH)
    embedding = np.random.default_rng(4).integers(-128, 128, (1, 64)).astype(np.int8)
    script = f"""
p = vision.Prototypes(load("set"), {HASH!r}, 64)
margins, rows = array("h", [0] * p.count), array("H", [0] * 16)
p.match(load("embedding"), margins)
count = p.best(margins, rows)
print(json.dumps([list(margins), list(rows)[:count], p.name(3), p.count, p.dim]))
"""
    got = run(script, set=prototypes.encode(), embedding=embedding.tobytes())
    margins = Scorer(prototypes, 64).margins_q8(embedding)[0]
    best = sorted(np.flatnonzero(margins >= -5).tolist(), key=lambda r: (-int(margins[r]), r))
    assert got == json.loads(json.dumps([margins.tolist(), best[:16], "", 40, 64]))


def test_functions_equal_their_definitions(run) -> None:
    rng = np.random.default_rng(3)
    a, b = rng.integers(-128, 128, (2, 256)).astype(np.int8)
    image = rng.integers(0, 256, (11, 17, 3), dtype=np.uint8)
    script = """
a, b, small = load("a"), load("b"), bytearray(5 * 4 * 3)
vision.box_resize(load("image"), 17, 11, small, 5, 4)
print(json.dumps([[vision.prob_q8(m) for m in range(-2100, 2100, 7)],
                  [vision.similarity_q8(a, b, d) for d in (16, 64, 256)], list(small)]))
"""
    got = run(script, a=a.tobytes(), b=b.tobytes(), image=image.tobytes())
    assert got[0] == [prob_q8(m) for m in range(-2100, 2100, 7)]
    assert got[1] == [similarity_q8(a, b, d) for d in (16, 64, 256)]
    assert got[2] == box_resize(image, 5, 4).reshape(-1).tolist()


def test_encode_rgb565_equals_the_same_frame_in_rgb888(run, pack: bytes) -> None:
    # Fields of all ones or all zeros: both formats hold these colours exactly.
    script = """
encoder = vision.Encoder(load("pack"))
a, b = bytearray(256), bytearray(256)
colours = [0, 0xF800, 0x07E0, 0x001F, 0xFFFF, 0xF81F]
pixels = array("H", [colours[(x * 7 + y * 3) % 6] for y in range(40) for x in range(50)])
wide = bytearray()
for p in pixels:
    wide.extend(bytes([255 * (p >> 15), 255 * (p >> 10 & 1), 255 * (p & 1)]))
encoder.encode(pixels, 50, 40, a)
encoder.encode(wide, 50, 40, b)
print(json.dumps([a == b, max(a) > 0, refused(encoder.encode, pixels, 49, 40, a)]))
"""
    assert run(script, pack=pack) == [True, True, "ValueError: image size"]


def test_encode_grey_equals_the_same_frame_in_rgb888(run, pack: bytes) -> None:
    script = """
encoder = vision.Encoder(load("pack"))
a, b = bytearray(256), bytearray(256)
grey = bytes([(x * 7 + y * 3) % 256 for y in range(40) for x in range(50)])
wide = bytearray()
for v in grey:
    wide.extend(bytes([v, v, v]))
encoder.encode(grey, 50, 40, a)
encoder.encode(wide, 50, 40, b)
print(json.dumps([a == b, max(a) > 0, refused(encoder.encode, grey, 49, 40, a)]))
"""
    assert run(script, pack=pack) == [True, True, "ValueError: image size"]


def test_wrong_arguments_are_value_errors(run, pack: bytes) -> None:
    parts = Parts(np.random.default_rng(4), 3)
    script = f"""
pack, data, hash8 = load("pack"), load("set"), {HASH!r}
encoder = vision.Encoder(pack)
p = vision.Prototypes(data, hash8, 16)
frame, out = bytearray(12), bytearray(256)
e, m = bytearray(256), array("h", [0] * 3)
print(json.dumps([
    refused(vision.Encoder, pack[:-1]),
    refused(vision.Encoder, bytes(len(pack))),
    refused(vision.Encoder, load("scaled")),
    refused(vision.Encoder, load("shifted")),
    refused(vision.Encoder, memoryview(bytearray(b"x" + pack))[1:]),
    refused(encoder.encode, frame, 2, 3, out),
    refused(encoder.encode, frame, 0, 2, out),
    refused(encoder.encode, frame, 1 << 40, 2, out),
    refused(encoder.encode, frame, 2, 2, bytearray(255)),
    refused(encoder.encode, frame, 2, 2, bytes(256)),
    refused(vision.Prototypes, data, b"12345678", 16),
    refused(vision.Prototypes, data, b"1234567", 16),
    refused(vision.Prototypes, data, hash8, 17),
    refused(vision.Prototypes, data[:-1], hash8, 16),
    refused(p.match, bytearray(15), m),
    refused(p.match, e, array("h", [0] * 2)),
    refused(p.match, e, array("H", [0] * 3)),
    refused(p.match, e, bytearray(6)),
    refused(p.name, 3),
    refused(p.name, -1),
    refused(vision.similarity_q8, e, e, 257),
    refused(vision.similarity_q8, e, e, 0),
    refused(vision.box_resize, frame, 2, 2, bytearray(2), 1, 1),
]))
"""
    files = {
        "set": parts.file(),
        "scaled": compile_model(tiny_encoder(5, side=32, scale=1 / 127)),
        "shifted": compile_model(tiny_encoder(5, side=32, out_zero_point=1)),
    }
    assert run(script, **files) == [
        "ValueError: wrong size",
        "ValueError: bad magic",
        "ValueError: not an encoder",
        "ValueError: not an encoder",
        "ValueError: not aligned",
        "ValueError: image size",
        "ValueError: out of range",
        "ValueError: out of range",
        "ValueError: out size",
        "TypeError: object with buffer protocol required",
        "ValueError: other encoder",
        "ValueError: hash size",
        "ValueError: no such dim",
        "ValueError: wrong size",
        "ValueError: embedding size",
        "ValueError: margins size",
        "ValueError: margins size",
        "ValueError: margins size",
        "IndexError: no such prototype",
        "IndexError: no such prototype",
        "ValueError: embedding size",
        "ValueError: out of range",
        "ValueError: image size",
    ]


def test_encoder_keeps_its_pack_alive(run, kernels: Kernels, pack: bytes) -> None:
    script = """
import gc
encoder = vision.Encoder(load("pack"))
frame, out = bytearray(range(192)), bytearray(256)
for _ in range(200):
    junk = bytearray(20000)
    gc.collect()
encoder.encode(frame, 8, 8, out)
print(json.dumps(ints(out)))
"""
    frame = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    assert run(script) == kernels.open(pack).encode(frame).tolist()


def test_resized_buffer_is_refused(run) -> None:
    script = f"""
pack, data = bytearray(load("pack")), bytearray(load("set"))
encoder, p = vision.Encoder(pack), vision.Prototypes(data, {HASH!r}, 16)
pack.extend(bytes(100000))
data.extend(bytes(100000))
frame, out, margins = bytearray(12), bytearray(256), array("h", [0])
print(json.dumps([refused(encoder.encode, frame, 2, 2, out), refused(p.match, out, margins),
                  refused(p.name, 0)]))
"""
    parts = Parts(np.random.default_rng(4), 1)
    assert run(script, set=parts.file()) == ["ValueError: buffer moved"] * 3


def test_interpreter_has_what_the_firmware_needs(run) -> None:
    script = """
import asyncio, binascii, deflate, hashlib, os, select, socket, time, tls
assert binascii.crc32(b"123456789") == 0xCBF43926
assert hashlib.sha256(b"").digest()[:2] == bytes([0xE3, 0xB0])
assert time.ticks_diff(time.ticks_ms(), 0) is not None and select.poll() and tls.SSLContext
assert asyncio.open_connection and os.rename and socket.socket
print(json.dumps("ok"))
"""
    assert run(script) == "ok"
    assert len(encoder_hash(b"")) == 8


def test_pack_in_a_romfs_is_used_where_it_lies(run, pack: bytes) -> None:
    image = make_romfs({"odd": b"x", "encoder.mpk": pack})
    out = run(
        f"""
import gc, vfs
sys.path += [{str(ROOT / "device" / "firmware")!r}, {str(ROOT / "protocol")!r}]
from reading import read_file
vfs.mount(vfs.VfsRom(load("rom")), "/rom")
gc.collect()
before = gc.mem_alloc()
held = read_file("/rom/encoder.mpk")
gc.collect()
kept = gc.mem_alloc() - before
vision.Encoder(held)
copied = read_file(DATA + "/pack")
print(json.dumps([kept < 1000, type(held).__name__, type(copied).__name__, held == copied]))
""",
        rom=image,
    )
    assert out == [True, "memoryview", "bytearray", True]


def test_between_two_words_everything_else_has_its_turn(run) -> None:
    """What bounds how long a frame, a message or a keepalive waits: one word of a caption."""
    script = """
import asyncio
sys.path[:0] = FOLDERS
from eye import Eye
from narrator import Narrator

turns = [0, 0, 0]
steps, said = [], []

class Counted(Narrator):
    def step(self):
        steps.append(list(turns))
        return super().step()

async def other(number):
    while True:
        turns[number] += 1
        await asyncio.sleep_ms(0)

async def main():
    eye = Eye(DATA + "/encoder", 64)
    narrator = Counted(DATA + "/captions", eye, 3, True, 0)
    eye.encode(load("frame"), 96, 96)
    tasks = [asyncio.create_task(other(number)) for number in range(len(turns))]
    tasks.append(asyncio.create_task(narrator.run(lambda kind, fields: said.append(fields))))
    for frame in range(2):
        assert narrator.looked(frame, 0, "change", 0)
        while narrator.busy:
            await asyncio.sleep_ms(0)
    for task in tasks:
        task.cancel()

asyncio.run(main())
print(json.dumps({"steps": steps, "said": [(one["frame"], len(one["tokens"])) for one in said]}))
"""
    model = ROOT / "device" / "models" / "accurate"
    files = {
        "encoder": (model / "encoder.mpk").read_bytes(),
        "captions": (model / "captions.cpk").read_bytes(),
        "frame": np.random.default_rng(3).integers(0, 256, 96 * 96 * 3, dtype=np.uint8).tobytes(),
    }
    folders = [str(ROOT / "device" / "firmware"), str(ROOT / "protocol")]
    told = run(script.replace("FOLDERS", repr(folders)), **files)
    assert [frame for frame, _ in told["said"]] == [0, 1]
    words = told["said"][0][1]
    assert len(told["steps"]) >= 2 * (words + 1) > 2
    waited = np.diff(np.array(told["steps"]), axis=0)
    assert (waited >= 1).all()

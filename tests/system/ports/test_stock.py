"""`vision` loaded from a file by a MicroPython built without it, and weights in a ROMFS."""

import hashlib
import json
import sys

import pytest
from moteye.core.scoring import Scorer
from moteye.resources import checkout, model_dir
from moteye_protocol.prototype_set import decode
from support.stock_board import BUILD_S, StockBoardError, build, run_on_stock_board
from system.device.device_bench import prototype_set
from system.ports.board_bench import photos

sys.path.insert(0, str(checkout() / "tests" / "unit" / "device"))

from kernel_library import Kernels

PICTURES = 6
ROWS = 40
DIM = 64

_SEE = """
import array, binascii, json, vision
gc.collect()
before = gc.mem_alloc()
pack = in_place("encoder.mpk")
encoder = vision.Encoder(pack)
gc.collect()
held = gc.mem_alloc() - before - encoder.arena_bytes
prototypes = vision.Prototypes(in_place("set.meps"), HASH, DIM)
margins = array.array("h", bytes(2 * prototypes.count))
out = bytearray(encoder.out_bytes)
embedding = memoryview(out)[: encoder.dim]
seen = []
for n in range(PICTURES):
    encoder.encode(in_place("photo%d" % n), 128, 96, out)
    prototypes.match(embedding, margins)
    seen.append((binascii.hexlify(out).decode(), list(margins)))
try:
    vision.Encoder(b"MEPK")
except ValueError as error:
    refused = str(error)
print(json.dumps([held, refused, prototypes.name(1), vision.prob_q8(0), encoder.dim, seen]))
"""


@pytest.fixture(scope="module")
def module() -> bytes:
    return (build() / "vision.mpy").read_bytes()


@pytest.mark.timeout(BUILD_S + 120)
def test_native_module_sees_what_the_kernels_of_this_machine_see(module: bytes) -> None:
    pack = (model_dir() / "encoder.mpk").read_bytes()
    space = hashlib.sha256(pack).digest()[:8]
    data = prototype_set(space, rows=ROWS)
    pictures = photos(PICTURES)
    files = {"vision.mpy": module, "encoder.mpk": pack, "set.meps": data}
    files |= {f"photo{n}": picture.tobytes() for n, picture in enumerate(pictures)}
    given = f"HASH = {space!r}\nDIM = {DIM}\nPICTURES = {PICTURES}\n"
    lines = run_on_stock_board(given + _SEE, files)
    held, refused, name, even, dim, seen = json.loads(lines[-1])
    assert held < 1024, "the pack was copied into RAM"
    assert refused == "wrong size"
    assert (name, even) == (decode(data).names[1], Kernels().c.prob_q8(0))
    model, scorer = Kernels().open(pack), Scorer(decode(data), DIM)
    for picture, (output, margins) in zip(pictures, seen, strict=True):
        expected = model.encode(picture)
        assert bytes.fromhex(output) == expected.tobytes()
        assert margins == scorer.margins_q8(expected[None, :dim])[0].tolist()


def test_stock_firmware_has_no_vision_of_its_own(module: bytes) -> None:
    with pytest.raises(StockBoardError, match="no module named 'vision'"):
        run_on_stock_board("import vision", {"readme": module[:16]})

"""Models and matches on the emulated Cortex-M7 and Cortex-M55, byte for byte the reference's."""

import contextlib
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from caption_library import random_pack, random_sizes
from kernel_library import ROOT
from moteye.compiler import ModelError, compile_model
from moteye.core.scoring import Scorer
from moteye_protocol import wire
from moteye_training.captions.integer import IntDecoder, caption
from random_nets import random_net
from reference import Reference, box_resize_rgb565
from support.sets import random_codebook
from test_scoring import DIMS, Parts
from tflite_builder import PADDING, NetBuilder

sys.path.insert(0, str(ROOT / "tests" / "bench" / "device"))

import image
import lstm_attention
from cases import case, ended, model_case

# MOTEYE_NETS: a longer run.
NETS = int(os.environ.get("MOTEYE_NETS", "120"))
FIRST = 1000
SMALL = 100
MATCHES = 200
CODEBOOKS = 50
FRAMES = 30
CAPTIONS = 200
IMAGE_BYTES = 1_800_000


def net_case(seed: int, net: bytes) -> bytes:
    """What check_models.c runs: a random input, every tenth time an extreme one."""
    reference = Reference(net)
    rng = np.random.default_rng(seed)
    values = rng.integers(-128, 128, reference.shape, dtype=np.int8)
    if seed % 10 == 0:
        values[:] = -128 if seed % 20 else 127
    return model_case(compile_model(net), values, reference.run(values))


def nets() -> Iterator[tuple[int, bytes]]:
    """Cases by seed."""
    for seed in range(FIRST, FIRST + NETS):
        # A net of nothing but views has nothing to run.
        with contextlib.suppress(ModelError):
            yield seed, net_case(seed, random_net(seed))


def in_batches(cases: Iterable[tuple[int, bytes]]) -> Iterator[dict[int, bytes]]:
    """As many together as the memory of the smaller machine holds."""
    batch: dict[int, bytes] = {}
    for seed, new in cases:
        if len(new) > IMAGE_BYTES:
            continue
        if sum(map(len, batch.values())) + len(new) > IMAGE_BYTES:
            yield batch
            batch = {}
        batch[seed] = new
    yield batch


@pytest.mark.parametrize("core", image.CORES, ids=lambda core: core.name)
def test_random_nets_on_the_emulated_core_equal_reference(core: image.Core) -> None:
    for batch in in_batches(nets()):
        blob = ended(batch.values())
        elf = image.build(core, "check", "check_models.c", {"cases": blob})
        numbers = image.run(core, elf)
        wrong = [list(batch)[i] for i in numbers.get("wrong", [])]
        assert numbers == {"cases": [len(batch)]}, f"seeds {wrong}"


def _small_depthwise(seed: int) -> bytes:
    """Large kernels on small pictures, most of whose taps lie outside."""
    rng = np.random.default_rng(seed)
    net = NetBuilder(rng)
    h, w = (int(side) for side in rng.integers(1, 9, 2))
    x = net.input((1, h, w, int(rng.integers(1, 50))))
    if seed % 3 == 0:
        x = net.pad(x, [[0, 0], *rng.integers(0, 4, (2, 2)).tolist(), [0, 0]])
    _, h, w, _ = net.shape(x)
    kernel = tuple(int(rng.integers(1, min(side, 8) + 1)) for side in (h, w))
    stride = tuple(int(side) for side in rng.integers(1, 3, 2))
    padding = int(rng.choice([PADDING.SAME, PADDING.SAME, PADDING.VALID]))
    return net.finish(net.depthwise(x, kernel=kernel, stride=stride, padding=padding))


@pytest.mark.parametrize("core", image.CORES, ids=lambda core: core.name)
def test_depthwise_of_small_pictures_on_the_emulated_core_equals_reference(
    core: image.Core,
) -> None:
    cases = [net_case(seed, _small_depthwise(seed)) for seed in range(SMALL)]
    elf = image.build(core, "check", "check_models.c", {"cases": ended(cases)})
    assert image.run(core, elf) == {"cases": [SMALL]}


def _match_case(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    dim = DIMS[seed % 5]
    parts = Parts(rng, int(rng.integers(1, 40)), extreme=seed % 7 == 0)
    if seed % 3 == 0:
        parts.shift = rng.integers(12, 35, 5).tolist()
    embedding = rng.integers(-128, 128, 256).astype(np.int8)
    if seed % 11 == 0:
        embedding[:] = rng.choice(np.int8([-128, 0, 1, 127]))
    file, margins = parts.file(), parts.margins(embedding, dim)
    words = (len(file), dim, margins.nbytes, 0)
    return case(words, file, embedding.tobytes(), margins.tobytes())


@pytest.mark.parametrize("core", image.CORES, ids=lambda core: core.name)
def test_matches_on_the_emulated_core_equal_definition(core: image.Core) -> None:
    blob = ended(_match_case(seed) for seed in range(MATCHES))
    elf = image.build(core, "matches", "check_matches.c", {"cases": blob})
    assert image.run(core, elf) == {"cases": [MATCHES]}


def _codebook_case(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    dim = DIMS[seed % 5]
    width = max(dim // wire.SET_MAX_PARTS, int(rng.choice([4, 8, 16])))
    count = int(rng.integers(1, 60))
    prototypes = random_codebook(count, dim, seed, widths=(width,) * (dim // width))
    embedding = rng.integers(-128, 128, (1, 256)).astype(np.int8)
    if seed % 11 == 0:
        embedding[:] = rng.choice(np.int8([-128, 0, 1, 127]))
    file = prototypes.encode()
    margins = Scorer(prototypes, dim).margins_q8(embedding)[0]
    words = (len(file), dim, margins.nbytes, 0)
    return case(words, file, embedding.tobytes(), margins.tobytes())


@pytest.mark.parametrize("core", image.CORES, ids=lambda core: core.name)
def test_codebooks_on_the_emulated_core_equal_the_hosts(core: image.Core) -> None:
    blob = ended(_codebook_case(seed) for seed in range(CODEBOOKS))
    elf = image.build(core, "codebooks", "check_matches.c", {"cases": blob})
    assert image.run(core, elf) == {"cases": [CODEBOOKS]}


def _frame_case(seed: int) -> bytes:
    """Mostly a frame made smaller, as cameras have it; every fifth made larger."""
    rng = np.random.default_rng(seed)
    width, height = (int(side) for side in rng.integers(1, 200 if seed % 6 else 700, 2))
    largest = (width, height) if seed % 5 else (300, 40)
    columns, rows = (int(rng.integers(max(1, side // 9), side + 1)) for side in largest)
    height, rows = min(height, 60), min(rows, 60)
    frame = rng.integers(0, 65536, (height, width), dtype=np.uint16)
    if seed % 7 == 0:
        frame[:] = 65535
    out = box_resize_rgb565(frame, columns, rows)
    return case((width, height, columns, rows), frame.tobytes(), out.tobytes())


@pytest.mark.parametrize("core", image.CORES, ids=lambda core: core.name)
def test_frames_on_the_emulated_core_equal_definition(core: image.Core) -> None:
    blob = ended(_frame_case(seed) for seed in range(FRAMES))
    elf = image.build(core, "frames", "check_frames.c", {"cases": blob})
    assert image.run(core, elf) == {"cases": [FRAMES]}


def _caption_case(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    pack, beams = random_pack(rng), seed % 4 + 1
    s = pack.sizes
    maps = rng.integers(-128, 128, (s.positions, s.channels)).astype(np.int8)
    said = caption(IntDecoder(pack), maps, beams)
    raw = pack.to_bytes()
    expected = struct.pack(f"<q{len(said.words)}H", said.logp_q10, *said.words)
    return case((len(raw), beams, maps.nbytes, len(said.words)), raw, maps.tobytes(), expected)


@pytest.mark.parametrize("core", image.CORES, ids=lambda core: core.name)
def test_captions_on_the_emulated_core_equal_reference(core: image.Core) -> None:
    cases = {seed: _caption_case(seed) for seed in range(CAPTIONS)}
    for batch in in_batches(cases.items()):
        elf = image.build(core, "captions", "check_captions.c", {"cases": ended(batch.values())})
        numbers = image.run(core, elf)
        wrong = [list(batch)[i] for i in numbers.get("wrong", [])]
        assert numbers == {"cases": [len(batch)]}, f"seeds {wrong}"


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("core", image.CORES, ids=lambda core: core.name)
def test_words_of_the_captioners_rival_equal_its_definition(core: image.Core, seed: int) -> None:
    """What make bench-device compares a word with (bench_lstm_attention.c ends with an error)."""
    rng = np.random.default_rng(seed)
    sizes = replace(random_sizes(rng), longest=8)
    blobs = lstm_attention.case(rng, sizes, 4)
    more = ("lstm_attention.c", "lstm_attention_m55.c")
    elf = image.build(core, "rival", "bench_lstm_attention.c", blobs, more)
    assert len(image.run(core, elf)["lstm"]) == 4

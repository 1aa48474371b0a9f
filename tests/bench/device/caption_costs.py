"""What captions cost on the emulated cores: words, the first one after a frame, beside an LSTM's.

    python tests/bench/device/caption_costs.py

Adds its rows to build/bench/captioner.json (`make evaluate-captions`); `make bench-device` prints
them, too. Every word is compared: the captioner's with this machine's, the LSTM's with its
definition (lstm_attention.py).
"""

import json
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
for folder in (
    HERE,
    *(ROOT / name for name in ("tests/unit/device", "host_agent", "protocol", "training")),
):
    sys.path.insert(0, str(folder))

import image  # noqa: E402
import lstm_attention  # noqa: E402
from caption_library import CCaptioner, random_pack  # noqa: E402
from image import CORES, M55, Core  # noqa: E402
from kernel_library import Kernels  # noqa: E402
from moteye_training.captions.pack import CaptionPack, Sizes  # noqa: E402
from records import expected_output  # noqa: E402
from rows import Row  # noqa: E402

SHIPPED = ROOT / "device" / "models" / "accurate"
# As large as the paper's decoder b, 8.2 MB, with COCO's words.
PAPER_B = Sizes(49, 448, 584, 32, 2, words=9487, longest=16, before_end=1)
WORDS = 4
"""Of a sentence that is compared and counted (bench_lstm_attention.c)."""


def caption_rows(kernels: Kernels, frames: Mapping[str, int | None]) -> Iterator[Row]:
    """All rows; frames: instructions of the shipped encoder, by core, for the first word's."""
    nano = (SHIPPED / "captions.cpk").read_bytes()
    for core in CORES:
        begin, words, conditions = _counted(kernels, core, nano)
        for beams in (1, 3):
            mean = round(sum(words[beams]) / len(words[beams]))
            yield Row(f"{core.name}.caption_word_{beams}", mean, "instructions", conditions)
        frame = frames.get(core.name)
        if frame is not None:
            told = f"{frame:,} of them the encoder's, one beam; {conditions}"
            first = frame + begin + words[1][0]
            yield Row(f"{core.name}.first_token", first, "instructions", told)
    ram, told = _ram_bytes(kernels, nano)
    yield Row("nano.ram_bytes", ram, "bytes", told)
    pack = random_pack(np.random.default_rng(13), PAPER_B).to_bytes()
    _, words, conditions = _counted(kernels, M55, pack)
    conditions = f"random weights, {len(pack):,} bytes, one beam; {conditions}"
    yield Row("m55.paper_b_token", max(words[1]), "instructions", conditions)
    for core in CORES:
        sizes = CaptionPack.from_bytes(nano).sizes
        yield _over_lstm(core, "token_over_lstm_attention", sizes)
        yield _over_lstm(core, "paper_b_token_over_lstm_attention", PAPER_B)


def _counted(kernels: Kernels, core: Core, pack: bytes) -> tuple[int, dict[int, list[int]], str]:
    """Instructions of looking at a random map, and of each word, by the number of beams."""
    positions, channels = struct.unpack_from("<2H", pack, 24)
    maps = np.random.default_rng(12).integers(-128, 128, positions * channels, dtype=np.int8)
    said = {
        f"said_{beams}": CCaptioner(kernels, pack, beams).say(maps).encode() for beams in (1, 3)
    }
    blobs = {"pack": pack, "maps": maps.tobytes(), **said}
    numbers = image.run(core, image.build(core, "caption", "bench_caption.c", blobs))
    words = {
        beams: [image.instructions(core, ticks) for ticks in numbers[f"word_{beams}"]]
        for beams in (1, 3)
    }
    conditions = f"random map; words equal to this machine's; {core.machine}"
    return image.instructions(core, numbers["begin_1"][0]), words, conditions


def _ram_bytes(kernels: Kernels, pack: bytes) -> tuple[int, str]:
    """What a device needs to say captions with three beams, its encoder and the map included."""
    captioner = CCaptioner(kernels, pack, 3)
    arena = kernels.open((SHIPPED / "encoder.mpk").read_bytes()).header.arena_bytes
    sizes = CaptionPack.from_bytes(pack).sizes
    parts = {
        "the encoder's arena": arena,
        "the decoder's work": captioner.work_bytes,
        "the map": sizes.positions * sizes.channels,
    }
    return sum(parts.values()), ", ".join(f"{bytes_:,} {name}" for name, bytes_ in parts.items())


def _over_lstm(core: Core, name: str, sizes: Sizes) -> Row:
    """A greedy word's instructions over those of an LSTM with additive attention."""
    blobs = lstm_attention.case(np.random.default_rng(14), sizes, WORDS)
    more = ("lstm_attention.c", "lstm_attention_m55.c")
    elf = image.build(core, "lstm_attention", "bench_lstm_attention.c", blobs, more)
    numbers = image.run(core, elf)
    ours, theirs = (image.instructions(core, max(numbers[of])) for of in ("attssm", "lstm"))
    conditions = (
        f"{ours:,} over {theirs:,} instructions; equal: width {sizes.width} of view, recurrence "
        f"and words, {sizes.positions} positions, {sizes.words:,} words, the tied output, the "
        f"product kernels; one beam, random weights; words equal to the definition; {core.machine}"
    )
    return Row(f"{core.name}.{name}", round(ours / theirs, 3), "ratio", conditions)


def _encoder(kernels: Kernels, core: Core) -> int:
    """Instructions of a frame through the shipped encoder, its output compared."""
    tflite = (SHIPPED / "encoder.tflite").read_bytes()
    pack = (SHIPPED / "encoder.mpk").read_bytes()
    values, output, _ = expected_output(tflite, pack, kernels)
    blobs = {"pack": pack, "input": values, "expected": output}
    numbers = image.run(core, image.build(core, "encoder", "bench_model.c", blobs))
    return image.instructions(core, numbers["ticks"][0])


def main() -> int:
    """Print the rows and add them to what the evaluation wrote."""
    kernels = Kernels()
    frames = {core.name: _encoder(kernels, core) for core in CORES}
    rows = []
    for row in caption_rows(kernels, frames):
        print(row, flush=True)
        rows.append(row.as_json())
    bench = ROOT / "build" / "bench" / "captioner.json"
    found = json.loads(bench.read_text()) if bench.exists() else {"rows": []}
    new = {row["id"] for row in rows}
    found["rows"] = [row for row in found["rows"] if row["id"] not in new] + rows
    bench.parent.mkdir(parents=True, exist_ok=True)
    bench.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""make bench-device: instructions, arena, flash and stack of the device engine beside the rival's.

    python tests/bench/device/bench_device.py [--models DIR] [--profile] [--only ID …]

One warm-up and one measured inference a model in QEMU, executed instructions counted by SysTick
under -icount; every output is compared with LiteRT's BUILTIN_REF (plain C where LiteRT refuses the
model). Writes build/bench/device.json; shape and ids: benchmarks.md.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
for folder in (
    HERE,
    ROOT / "tests/unit/device",
    ROOT / "host_agent",
    ROOT / "protocol",
    ROOT / "training",
):
    sys.path.insert(0, str(folder))

import image  # noqa: E402
from anchors import ANCHORS  # noqa: E402
from caption_costs import caption_rows  # noqa: E402
from image import CORES, M7, Core  # noqa: E402
from kernel_library import Kernels  # noqa: E402
from moteye.compiler import compile_with_report  # noqa: E402
from native_module import frame_instructions  # noqa: E402
from records import expected_output, record_texts  # noqa: E402
from reference import box_resize, box_resize_rgb565  # noqa: E402
from rows import GOALS, Row  # noqa: E402
from test_scoring import Parts  # noqa: E402
from x86_time import ROUNDS, time_beside_xnnpack  # noqa: E402

MODELS = {  # the real files' names, for --models
    "vww": "vww_96_int8.tflite",
    "person_detect": "person_detect.tflite",
    "resnet8": "pretrainedResnet_quant.tflite",
    "kws": "kws_ref_model.tflite",
    "mbv2_035_96_cut": "mbv2_035_96_cut.tflite",
}
SHIPPED = ROOT / "device" / "models"
ENCODERS = {"encoder": "accurate", "fast_encoder": "fast"}
ENCODER = SHIPPED / ENCODERS["encoder"] / "encoder.tflite"
DIMS = (16, 32, 64, 128, 256)
FIXED = {*GOALS, "stack.max", "native_module.slowdown"}


def _tflite(name: str, models: Path | None) -> tuple[bytes, str]:
    if name in ENCODERS:
        path = SHIPPED / ENCODERS[name] / "encoder.tflite"
        return path.read_bytes(), f"the shipped encoder `{ENCODERS[name]}`"
    if models is not None and (models / MODELS[name]).exists():
        return (models / MODELS[name]).read_bytes(), MODELS[name]
    return ANCHORS[name](), "seeded random weights in the anchor's shapes"


def _match_blobs(rng: np.random.Generator) -> dict[str, bytes]:
    """Sets, and the margins of one embedding against them at each dimension."""
    embedding = rng.integers(-128, 128, 256, dtype=np.int8)
    blobs = {"embedding": embedding.tobytes()}
    for rows in (1, 10, 100, 1000):
        parts = Parts(rng, rows)
        parts.shift = [15] * len(DIMS)
        blobs[f"set_{rows}"] = parts.file()
        margins = [parts.margins(embedding, dim).tobytes() for dim in DIMS]
        blobs[f"margins_{rows}"] = b"".join(margins)
    return blobs


def _frame_blobs(rng: np.random.Generator, width: int) -> dict[str, bytes]:
    """A frame of each format, and what each becomes, in the order of frame_format_t."""
    shape = (width * 3 // 4, width)
    rgb888 = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    rgb565 = rng.integers(0, 65536, shape, dtype=np.uint16)
    grey = rng.integers(0, 256, shape, dtype=np.uint8)
    small = [
        box_resize(rgb888, 96, 96),
        box_resize_rgb565(rgb565, 96, 96),
        box_resize(np.repeat(grey[..., None], 3, axis=2), 96, 96),
    ]
    return {
        f"rgb888_{width}": rgb888.tobytes(),
        f"rgb565_{width}": rgb565.tobytes(),
        f"grey_{width}": grey.tobytes(),
        f"tensor_{width}": (np.stack(small) ^ 0x80).tobytes(),
    }


class Bench:
    """Collects rows; models are compiled once."""

    def __init__(self, models: Path | None, profile: bool) -> None:
        self.models, self.profile = models, profile
        self.kernels = Kernels()
        self.rows: list[Row] = []
        self.stack: dict[str, int] = {}

    def add(self, row: Row) -> None:
        """Keep and print a row."""
        self.rows.append(row)
        print(row, flush=True)

    def model(self, core: Core, name: str, remove_dead: bool = False) -> None:
        """Count one inference."""
        tflite, origin = _tflite(name, self.models)
        pack, report = compile_with_report(tflite, remove_dead=remove_dead)
        name = f"{name}_dead_removed" if remove_dead else name
        values, output, judge = expected_output(tflite, pack, self.kernels)
        blobs = {"pack": pack, "input": values, "expected": output}
        elf = image.build(core, name, "bench_model.c", blobs)
        numbers = image.run(core, elf)
        count = image.instructions(core, numbers["ticks"][0])
        conditions = f"{origin}; output equal to {judge}; {core.machine}, ±{core.tick:g}"
        self.add(Row(f"{core.name}.{name}", count, "instructions", conditions))
        self.stack[f"{core.name}.{name}"] = numbers["stack"][0]
        if core is M7 and f"arena.{name}" in FIXED:
            self.add(Row(f"arena.{name}", report.arena_bytes, "bytes", origin))
        if self.profile:
            for text, ticks in zip(record_texts(pack), numbers["record"], strict=True):
                spent = image.instructions(core, ticks)
                macs = int(text.rsplit(" ", 1)[1].replace(",", "")) if "->" in text else 0
                each = f"{spent / macs:6.2f}" if macs else ""
                print(f"    {spent:>10,} {each} {text}")

    def scoring(self) -> None:
        """Count matches at every dimension, and frames of every format."""
        rng = np.random.default_rng(11)
        blobs = {**_match_blobs(rng), **_frame_blobs(rng, 160), **_frame_blobs(rng, 320)}
        for core in CORES:
            numbers = image.run(core, image.build(core, "scoring", "bench_scoring.c", blobs))
            conditions = f"random content; output equal to the definition; {core.machine}"
            for name, ticks in numbers.items():
                ids = [f"{name}x{dim}" for dim in DIMS] if name.startswith("match") else [name]
                for row_id, one in zip(ids, ticks, strict=True):
                    count = image.instructions(core, one)
                    self.add(Row(f"{core.name}.{row_id}", count, "instructions", conditions))

    def captions(self) -> None:
        """Count words of captions, the first one after a frame, and those of an LSTM."""
        counted = {row.id: int(row.value) for row in self.rows}
        frames = {core.name: counted.get(f"{core.name}.encoder") for core in CORES}
        for row in caption_rows(self.kernels, frames):
            self.add(row)

    def x86(self) -> None:
        """Time of the MobileNetV2 anchor on this machine over LiteRT's XNNPACK, turn by turn."""
        tflite, origin = _tflite("mbv2_035_96_cut", self.models)
        ours, theirs, ratio = time_beside_xnnpack(tflite)
        conditions = (
            f"{origin}; median ratio of {ROUNDS} turns, one thread: {ours:.3f} and {theirs:.3f} ms"
        )
        self.add(Row("x86.mbv2_cut_over_xnnpack", round(ratio, 3), "ratio", conditions))

    def native_module(self) -> None:
        """What it costs to load `vision` from a file instead of building it in."""
        pack = ENCODER.with_suffix(".mpk").read_bytes()
        loaded, built_in = frame_instructions(pack)
        conditions = (
            f"a frame of 128x96 through the shipped encoder, equal embeddings: {loaded:,} "
            f"instructions from a file, {built_in:,} built in; mps2-an500"
        )
        self.add(Row("native_module.slowdown", round(loaded / built_in, 4), "ratio", conditions))

    def footprint(self) -> None:
        """Flash of the runtime, and the deepest stack of all models."""
        flash = image.flash_bytes(M7)
        self.add(Row("flash.runtime", flash, "bytes", "M7, -O2, every kernel, no libc"))
        captioner = image.flash_bytes(M7, captioner=True)
        self.add(Row("flash.captioner", captioner, "bytes", "M7, -O2, its kernels alone"))
        if self.stack:
            worst = max(self.stack, key=lambda key: self.stack[key])
            self.add(Row("stack.max", self.stack[worst], "bytes", f"model_run, {worst}"))


def main() -> int:
    """The exit status: 0 when every output was equal, whatever the targets."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--models", type=Path, help="folder of real .tflite files")
    parser.add_argument("--profile", action="store_true", help="instructions of every record")
    parser.add_argument("--only", nargs="*", help="ids such as m7.vww; nothing is written")
    arguments = parser.parse_args()
    bench = Bench(arguments.models, arguments.profile)
    print(f"{'':32}{'ours':>14} {'target':>12} {'rival':>12} {'ratio':>7}")
    for core in CORES:
        for name in [*ANCHORS, *ENCODERS]:
            if not arguments.only or f"{core.name}.{name}" in arguments.only:
                bench.model(core, name)
            if name == "vww" and (
                not arguments.only or f"{core.name}.vww_dead_removed" in arguments.only
            ):
                bench.model(core, name, remove_dead=True)
    if not arguments.only or "scoring" in arguments.only:
        bench.scoring()
    if not arguments.only or "captions" in arguments.only:
        bench.captions()
    if not arguments.only or "x86" in arguments.only:
        bench.x86()
    if not arguments.only or "native_module" in arguments.only:
        bench.native_module()
    bench.footprint()
    if not arguments.only:
        target = ROOT / "build" / "bench" / "device.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps([row.as_json() for row in bench.rows], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

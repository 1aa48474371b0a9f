"""make compare-models MODELS=DIR: every `.tflite` of a folder, byte for byte the reference's.

    python tests/bench/device/compare_files.py DIR [--inputs N] [--core-inputs N]

Plain C and this processor's kernels take N random inputs each, the emulated Cortex-M7 and
Cortex-M55 some of them. A file that LiteRT's BUILTIN_REF does not run is named and left out.
"""

import argparse
import struct
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
for folder in (HERE, ROOT / "tests/unit/device", ROOT / "host_agent", ROOT / "protocol"):
    sys.path.insert(0, str(folder))

import image  # noqa: E402
from cases import ended, model_case  # noqa: E402
from kernel_library import Kernels, Model  # noqa: E402
from moteye.compiler import ModelError, compile_model  # noqa: E402
from reference import Reference  # noqa: E402


def inputs_of(model: Model, count: int) -> list[np.ndarray]:
    """Random inputs; the first two are the extremes."""
    shape = tuple(model.header.input_dims)
    rng = np.random.default_rng(21)
    drawn = [rng.integers(-128, 128, shape, dtype=np.int8) for _ in range(count - 2)]
    return [np.full(shape, -128, np.int8), np.full(shape, 127, np.int8), *drawn][:count]


def wrong_on(core: image.Core, pack: bytes, cases: list[tuple[np.ndarray, np.ndarray]]) -> int:
    """How many of the cases a core gets wrong."""
    blob = ended(model_case(pack, values, expected) for values, expected in cases)
    elf = image.build(core, "compare", "check_models.c", {"cases": blob})
    numbers = image.run(core, elf)
    return len(numbers.get("wrong", [])) + len(cases) - numbers["cases"][0]


def compare(path: Path, kernels: dict[str, Kernels], count: int, on_cores: int) -> dict[str, int]:
    """Wrong outputs by who gave them. Raises ModelError, RuntimeError or ValueError."""
    tflite = path.read_bytes()
    pack = compile_model(tflite)
    models = {name: library.open(pack) for name, library in kernels.items()}
    header = models["plain C"].header
    quants = (header.input_quant, header.output_quant)
    first, second = (struct.unpack("<fi", bytes(quant)) for quant in quants)
    reference = Reference(tflite, (first, second))
    inputs = inputs_of(models["plain C"], count)
    expected = [reference.run(values) for values in inputs]
    wrong = {
        name: sum(
            not np.array_equal(model.run(values), right)
            for values, right in zip(inputs, expected, strict=True)
        )
        for name, model in models.items()
    }
    cases = list(zip(inputs, expected, strict=True))[:on_cores]
    return wrong | {core.name: wrong_on(core, pack, cases) for core in image.CORES}


def main() -> int:
    """0 when all outputs are equal."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--inputs", type=int, default=20)
    parser.add_argument("--core-inputs", type=int, default=3)
    arguments = parser.parse_args()
    kernels = {"plain C": Kernels(plain=True), "this processor": Kernels()}
    paths = sorted(arguments.folder.glob("*.tflite"))
    if not paths:
        parser.error(f"{arguments.folder}: no .tflite files there")
    bad = 0
    for path in paths:
        try:
            wrong = compare(path, kernels, arguments.inputs, arguments.core_inputs)
        except (ModelError, RuntimeError, ValueError) as error:
            print(f"{path.name:36} left out: {str(error)[:100]}", flush=True)
            continue
        told = ", ".join(f"{name} {count}" for name, count in wrong.items() if count) or "all equal"
        print(f"{path.name:36} {told}", flush=True)
        bad += sum(wrong.values())
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

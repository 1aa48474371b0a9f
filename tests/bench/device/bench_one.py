"""What one model costs on one processor: `moteye model bench` runs this.

    python tests/bench/device/bench_one.py MODEL.tflite --target cortex-m7 [--profile]

Cortex: executed instructions of one inference under QEMU. x86: milliseconds, beside XNNPACK's. The
output is compared with LiteRT's BUILTIN_REF first.
"""

import argparse
import ctypes
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
for folder in (HERE, ROOT / "tests/unit/device", ROOT / "host_agent", ROOT / "protocol"):
    sys.path.insert(0, str(folder))

import image  # noqa: E402
from kernel_library import Kernels, pointer  # noqa: E402
from moteye.compiler import ModelError, Report, compile_with_report  # noqa: E402
from records import expected_output, record_texts  # noqa: E402
from x86_time import DEVICE_FLAGS, fastest_ms, time_beside_xnnpack  # noqa: E402

CORES = {"cortex-m7": image.M7, "cortex-m55": image.M55}
Costs = list[tuple[float, str]]


def on_core(core: image.Core, pack: bytes, blobs: dict[str, bytes]) -> tuple[list[str], Costs]:
    """(lines about the whole, instructions and text of each record)."""
    numbers = image.run(core, image.build(core, "one", "bench_model.c", {"pack": pack} | blobs))
    count = image.instructions(core, numbers["ticks"][0])
    each = [float(image.instructions(core, ticks)) for ticks in numbers["record"]]
    lines = [
        f"{count:,} instructions (±{core.tick:g}) on {core.machine}",
        f"{numbers['stack'][0]:,} bytes of stack",
    ]
    return lines, list(zip(each, record_texts(pack), strict=True))


def on_x86(tflite: bytes, pack: bytes) -> tuple[list[str], Costs]:
    """The same in time: milliseconds, and microseconds of each record."""
    ours, theirs, ratio = time_beside_xnnpack(tflite)
    kernels = Kernels(flags=DEVICE_FLAGS)
    model = kernels.open(pack)
    costs: Costs = []
    header = model.header
    at, header.op_count = int(header.ops_offset), 1
    for text in record_texts(pack):
        header.ops_offset = at
        arguments = (
            ctypes.byref(model._model),
            pointer(model.arena),
            ctypes.c_size_t(model.arena.size),
        )
        costs.append((fastest_ms(lambda a=arguments: kernels.c.model_run(*a)) * 1000, text))
        at += int.from_bytes(pack[at + 2 : at + 4], "little")
    told = f"{ours:.3f} ms; XNNPACK, one thread, in turns with it: {theirs:.3f} ms"
    return [f"{told} ({ratio:.2f} of it)"], costs


def report_lines(report: Report) -> list[str]:
    """What does not depend on the processor."""
    return [
        f"pack {report.pack_bytes:,} bytes, arena {report.arena_bytes:,} bytes",
        f"{report.macs:,} multiply-accumulates",
    ]


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--target", choices=[*CORES, "x86"], required=True)
    parser.add_argument("--profile", action="store_true", help="the cost of every record")
    given = parser.parse_args()
    tflite = given.source.read_bytes()
    try:
        pack, report = compile_with_report(tflite)
        values, output, judge = expected_output(tflite, pack, Kernels())
        if given.target == "x86":
            lines, costs = on_x86(tflite, pack)
        else:
            blobs = {"input": values, "expected": output}
            lines, costs = on_core(CORES[given.target], pack, blobs)
    except (ModelError, image.BenchError) as error:
        print(f"{given.source}: {error}", file=sys.stderr)
        return 1
    print(f"{given.source.name} on {given.target}: output equal to {judge}")
    print("\n".join(f"  {line}" for line in [*lines, *report_lines(report)]))
    if given.profile:
        unit = "µs" if given.target == "x86" else "instructions"
        whole = sum(cost for cost, _ in costs)
        print(f"  {unit:>14} {'share':>6}  record")
        for cost, text in costs:
            print(f"  {cost:>14,.1f} {cost / whole:>6.1%}  {text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

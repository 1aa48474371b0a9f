"""Bare-metal images of the kernels for QEMU's Cortex-M7 and Cortex-M55, built and run."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
KERNELS = ROOT / "device" / "kernels"
BUILD = ROOT / "build" / "bench" / "device"
COMPILER = "arm-none-eabi-gcc"
KERNEL_FLAGS = ["-O2"]
# Operators that a build links where its list names them (operators.toml, from 64 on).
FEW_PACKS = ("adaptive_pool", "grn")
# What the captioner alone calls.
CAPTIONER = (
    "advance_q10",
    "caption",
    "dot_rows",
    "layer_norm_q10",
    "modulate_q10",
    "product_q10",
    "selective_scan",
)


@dataclass(frozen=True)
class Core:
    """One emulated processor; a SysTick tick is `tick` instructions under -icount shift=0."""

    name: str
    machine: str
    flags: tuple[str, ...]
    tick: float


M7 = Core("m7", "mps2-an500", ("-mcpu=cortex-m7", "-mfpu=fpv5-sp-d16"), 40)
M55 = Core("m55", "mps3-an547", ("-mcpu=cortex-m55",), 31.25)
CORES = (M7, M55)


class BenchError(Exception):
    """An image that did not build, did not run, or gave another output than the reference."""


def _run(command: list[str], timeout: float = 600) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    if result.returncode != 0:
        raise BenchError(f"{' '.join(command[:3])} …: {result.stdout}{result.stderr}")
    return result.stdout + result.stderr  # QEMU writes semihosted text to stderr


def _flags(core: Core) -> list[str]:
    return [
        *core.flags,
        *("-mthumb", "-mfloat-abi=hard", "-std=c11", "-Wall", "-Wextra", "-Werror"),
        *("-ffunction-sections", "-fdata-sections", f"-I{KERNELS}", f"-I{HERE}"),
    ]


def kernel_sources() -> list[Path]:
    """Every file of the runtime; a target's own are empty for another target."""
    return sorted(KERNELS.rglob("*.c"))


def kernel_objects(core: Core) -> list[Path]:
    """The runtime, compiled for a core, file by file when the sources changed."""
    folder = BUILD / core.name
    folder.mkdir(parents=True, exist_ok=True)
    newest = max(path.stat().st_mtime for path in KERNELS.rglob("*.h"))
    objects = []
    for source in kernel_sources():
        target = folder / ("_".join(source.relative_to(KERNELS).with_suffix(".o").parts))
        objects.append(target)
        fresh = max(newest, source.stat().st_mtime)
        if not target.exists() or target.stat().st_mtime < fresh:
            _run([COMPILER, *_flags(core), *KERNEL_FLAGS, "-c", str(source), "-o", str(target)])
    return objects


def build(
    core: Core,
    name: str,
    program: str,
    blobs: dict[str, bytes],
    more: tuple[str, ...] = (),
    operators: Path | None = None,
) -> Path:
    """An image of `program` and `more` (C files here) with the blobs as symbols of their names.

    `operators`: a C file with another list of operators.
    """
    folder = BUILD / core.name
    objects = kernel_objects(core)
    if operators is not None:
        objects = [one for one in objects if one.name != "model_operators.o"] + [operators]
    lines = ['.section .pack, "a"']
    for symbol, blob in blobs.items():
        path = folder / f"{name}.{symbol}"
        path.write_bytes(blob)
        lines += [".balign 16", f".global {symbol}, {symbol}_end", f"{symbol}:"]
        lines += [f'.incbin "{path}"', f"{symbol}_end:"]
    assembly = folder / f"{name}.s"
    assembly.write_text("\n".join([*lines, ""]))
    image = folder / f"{name}.elf"
    sources = [HERE / "bare.c", *(HERE / one for one in (program, *more)), assembly]
    _run(
        [
            *(COMPILER, *_flags(core), "-O2", "-nostartfiles", "--specs=nano.specs"),
            *("-Wl,--gc-sections", f"-L{HERE}", f"-T{HERE / core.name}.ld"),
            *(*map(str, sources), *map(str, objects), "-o", str(image)),
        ]
    )
    return image


def run(core: Core, image: Path) -> dict[str, list[int]]:
    """The image's numbers, by name. Raises BenchError if it exits with another status than 0."""
    output = _run(
        [
            *("qemu-system-arm", "-M", core.machine, "-nographic", "-monitor", "none"),
            *("-serial", "null", "-icount", "shift=0", "-kernel", str(image)),
            *("-semihosting-config", "enable=on,target=native"),
        ]
    )
    numbers: dict[str, list[int]] = {}
    for line in output.splitlines():
        key, value = line.split()
        numbers.setdefault(key, []).append(int(value))
    return numbers


def instructions(core: Core, ticks: int) -> int:
    """Executed instructions, ± one tick."""
    return round(ticks * core.tick)


def _kernel(object_file: Path) -> str:
    """The name of what it was compiled from, without its processor's folder."""
    return re.sub(r"^(m7|m55|x86)_", "", object_file.name)


def flash_bytes(core: Core, *, captioner: bool = False) -> int:
    """Code and constants of the whole runtime, every kernel, without a model.

    The captioner's kernels are counted apart: what the runtime is compared with has none. So are
    operators that a build names where it needs them.
    """
    objects = [
        one
        for one in kernel_objects(core)
        if _kernel(one).startswith(CAPTIONER) == captioner
        and not _kernel(one).startswith(FEW_PACKS)
    ]
    output = _run(["arm-none-eabi-size", *map(str, objects)])
    return sum(sum(map(int, line.split()[:2])) for line in output.splitlines()[1:])

"""Fuzz what reads bytes from outside in C: model packs, prototype sets, caption packs; libFuzzer.

    make fuzz SECONDS=600        each target so long; prints the table below

Targets are built with AddressSanitizer and UndefinedBehaviorSanitizer. Seeds are files as the
compiler and the text tower write them; what was found goes on from run to run in build/fuzz. An
input that crashes, hangs or leaks is saved in build/fuzz/crashes, with the command that repeats it,
and the exit code is 1.
"""

import argparse
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from moteye import policies
from moteye.compiler import compile_model
from moteye.schedule import WhileSchedule
from moteye.text.space import load_space
from moteye_protocol import wire
from moteye_protocol.prototype_set import decode

ROOT = Path(__file__).resolve().parents[2]
for folder in ("tests", "tests/unit/device", "training"):
    sys.path.append(str(ROOT / folder))

from caption_library import random_pack  # noqa: E402
from random_nets import random_net, tiny_encoder  # noqa: E402
from support.sets import random_codebook, random_set  # noqa: E402

OUT = ROOT / "build" / "fuzz"
OBJECTS = OUT / "objects"
KERNELS = ROOT / "device" / "kernels"
NETS = 40  # enough for each operator of the runtime
ENCODER = b"encoder!"  # the space that the target opens sets for
HANG_S = 10
MEMORY_MB = 1024
_FLAGS = [
    "-std=c11",
    "-g",
    "-O1",
    "-fsanitize=fuzzer,address,undefined",
    "-fno-sanitize-recover=all",
]


@dataclass(frozen=True)
class Report:
    """What one run did. `crash` names the saved input, or is None."""

    target: str
    executions: int
    per_second: int
    edges: int
    corpus: int
    crash: Path | None
    log: str


@functools.cache
def pack_seeds() -> list[bytes]:
    """Model packs of every operator, as the compiler writes them."""
    nets = [tiny_encoder(3, side=12, dim=32), *map(random_net, range(NETS))]
    return [compile_model(net) for net in nets]


@functools.cache
def set_seeds() -> list[bytes]:
    """The set of the ready-made policies, and sets of random numbers of every dimension."""
    space = load_space()
    found = policies.load(ROOT / "policies")
    compiled = space.compile(found, number=1, dim=256, schedule_of=WhileSchedule, epoch=0)
    sets = [decode(compiled.built.data)]
    sets += [random_set(3 + seed, dim, seed) for seed, dim in enumerate(wire.SET_DIMS)]
    coded = [random_codebook(4, dim, dim, names=dim == 16) for dim in (16, 64)]
    return [replace(found, encoder_hash=ENCODER).encode() for found in [*sets, *coded]]


@functools.cache
def caption_seeds() -> list[bytes]:
    """Caption packs of random numbers in random shapes."""
    return [random_pack(np.random.default_rng(seed)).to_bytes() for seed in range(20)]


TARGETS = {"pack": pack_seeds, "set": set_seeds, "captions": caption_seeds}


def build(target: str) -> Path:
    """Compile one target with clang; returns the program. What did not change is not compiled."""
    OUT.mkdir(parents=True, exist_ok=True)
    program = OUT / f"fuzz-{target}"
    here = Path(__file__).parent
    sources = [here / "trials.c", *sorted(KERNELS.rglob("*.c"))]
    headers = [here / "trials.h", *sorted(KERNELS.rglob("*.h"))]
    digest = hashlib.sha256(b"".join(header.read_bytes() for header in headers)).digest()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(lambda source: _object(source, digest, []), sources))
    objects.append(_object(here / "fuzz_kernels.c", digest, [f"-DFUZZ_{target.upper()}"]))
    _clang([*_FLAGS, "-o", str(program), *map(str, objects)])
    return program


def _object(source: Path, headers: bytes, extra: list[str]) -> Path:
    """The object of one source, kept by the content of all that goes into it."""
    content = source.read_bytes() + headers + repr([_FLAGS, extra]).encode()
    found = OBJECTS / f"{source.stem}-{hashlib.sha256(content).hexdigest()[:16]}.o"
    if not found.exists():
        OBJECTS.mkdir(parents=True, exist_ok=True)
        partial = found.with_suffix(f".{os.getpid()}")
        includes = [f"-I{KERNELS}", f"-I{Path(__file__).parent}"]
        _clang([*_FLAGS, *extra, *includes, "-c", "-o", str(partial), str(source)])
        partial.replace(found)
    return found


def _clang(arguments: list[str]) -> None:
    clang = shutil.which("clang")
    assert clang, "clang is missing: run `make fuzz`, which installs or names it"
    subprocess.run([clang, *arguments], check=True)


def run(target: str, *, seconds: int = 0, runs: int = -1, seed: int = 0, corpus: Path) -> Report:
    """Fuzz for `seconds`, or for `runs` executions; new inputs go into `corpus`."""
    program = build(target)
    seeds, crashes = OUT / "seeds" / target, OUT / "crashes" / target
    for folder in (seeds, crashes, corpus):
        folder.mkdir(parents=True, exist_ok=True)
    for index, data in enumerate(TARGETS[target]()):
        (seeds / f"{index:02}").write_bytes(data)
    limits = [f"-max_total_time={seconds}", f"-runs={runs}", f"-seed={seed}"]
    limits += [f"-timeout={HANG_S}", f"-rss_limit_mb={MEMORY_MB}", f"-artifact_prefix={crashes}/"]
    command = [program, *limits, "-print_final_stats=1", corpus, seeds]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    log = done.stderr
    saved = re.search(r"Test unit written to (\S+)", log)
    assert saved or done.returncode == 0, log[-4000:]
    return Report(
        target,
        int(_last(r"stat::number_of_executed_units: (\d+)", log)),
        int(_last(r"stat::average_exec_per_sec: +(\d+)", log)),
        int(_last(r"cov: (\d+)", log)),
        len(list(corpus.iterdir())),
        Path(saved[1]) if saved else None,
        log,
    )


def _last(pattern: str, log: str) -> str:
    found = re.findall(pattern, log)
    return found[-1] if found else "0"


def main() -> int:
    """Run the targets and print what became of them."""
    parser = argparse.ArgumentParser(description="fuzz the device's C")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--target", choices=sorted(TARGETS), action="append")
    options = parser.parse_args()
    failed = False
    print(f"{'target':10}{'inputs tried':>14}{'a second':>10}{'edges':>8}{'corpus':>8}  found")
    for target in options.target or sorted(TARGETS):
        report = run(target, seconds=options.seconds, corpus=OUT / "corpus" / target)
        found = "nothing" if report.crash is None else str(report.crash)
        figures = f"{report.executions:>14,}{report.per_second:>10,}{report.edges:>8,}"
        print(f"{target:10}{figures}{report.corpus:>8,}  {found}", flush=True)
        if report.crash is not None:
            failed = True
            print(report.log[-4000:])
            print(f"again: {OUT / f'fuzz-{target}'} {report.crash}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

"""Whether a model fits a board: RAM, flash, operators, what is needed beside what is there."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from moteye_protocol import wire

from . import compile_with_report, max78000
from .error import ModelError
from .reader import read_model

FIRMWARE_FLASH_BYTES = 321_000
"""MicroPython, firmware and `vision` for Cortex-M7, less the pack (`arm-none-eabi-size`)."""
FIRMWARE_RAM_BYTES = 26_000 + 32_000 + 60_000
"""Static data, C stack and Python objects of that firmware (device/ports/README.md)."""
SLOTS = 2


@dataclass(frozen=True)
class Board:
    """One entry of `boards.toml`; `accelerator` boards run a model without the Cortex kernels.

    `npu_operators`: what an accelerator beside the processor can run, by TFLite's names.
    """

    name: str
    title: str
    ram_bytes: int
    flash_bytes: int
    accelerator: bool = False
    npu_operators: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: it fits, or `text` says by how much it does not."""

    what: str
    fits: bool
    text: str


def boards() -> dict[str, Board]:
    """All known boards by name."""
    known = tomllib.loads((Path(__file__).parent / "boards.toml").read_text())
    return {
        name: Board(name=name, **{**entry, "npu_operators": tuple(entry.get("npu_operators", ()))})
        for name, entry in known.items()
    }


def npu_finding(counts: Mapping[str, int], board: Board, kernel: Mapping[str, str]) -> Finding:
    """How many operators (by TFLite's names) the NPU can run, and what runs the others.

    It always fits: what the NPU lacks runs on the processor. `kernel` names what runs it there.
    """
    fallback = {name: n for name, n in counts.items() if name not in board.npu_operators}
    total = sum(counts.values())
    text = f"{total - sum(fallback.values())} of {total} operators"
    if fallback:
        others = ", ".join(f"{n} {name} by {kernel[name]}" for name, n in sorted(fallback.items()))
        text += f"; on the processor {others}"
    return Finding("NPU", True, text)


def compare_bytes(what: str, needs: int, has: int, of: str) -> Finding:
    """A finding about a memory; `of` says what the bytes are for."""
    verdict = f"{has - needs:,} left" if needs <= has else f"{needs - has:,} too many"
    return Finding(what, needs <= has, f"{needs:,} of {has:,} bytes, {verdict} ({of})")


def check_model(
    tflite: bytes, board: Board, *, set_bytes: int, frame: tuple[int, int]
) -> list[Finding]:
    """What of an int8 `.tflite` fits `board`, with two sets of `set_bytes` and an RGB frame.

    Raises ModelError for a file that is no model, or that has not one input and one output; an
    operator that cannot run is a finding.
    """
    if board.accelerator:
        return [Finding(*found) for found in max78000.check(read_model(tflite))]
    graph = read_model(tflite)
    try:
        pack, report = compile_with_report(tflite)
    except ModelError as error:
        return [Finding("operators", False, str(error))]
    kinds = ", ".join(f"{count} {kind}" for kind, count in report.operators.items())
    # The firmware reads a set into RAM while it tries it, beside the one in use.
    sets, picture = SLOTS * set_bytes, frame[0] * frame[1] * 3
    ram = report.arena_bytes + picture + sets + FIRMWARE_RAM_BYTES
    flash = len(pack) + sets + FIRMWARE_FLASH_BYTES
    npu = (
        [npu_finding(report.source_operators, board, report.run_by)] if board.npu_operators else []
    )
    return [
        Finding("operators", True, f"{len(graph.ops)} of the model run as {kinds}"),
        *npu,
        compare_bytes(
            "RAM",
            ram,
            board.ram_bytes,
            f"arena {report.arena_bytes:,}, frame {picture:,}, two sets {sets:,}, "
            f"firmware {FIRMWARE_RAM_BYTES:,}",
        ),
        compare_bytes(
            "flash",
            flash,
            board.flash_bytes,
            f"pack {len(pack):,}, two sets {sets:,}, firmware {FIRMWARE_FLASH_BYTES:,}",
        ),
        Finding(
            "set",
            set_bytes <= wire.MAX_SET_BYTES,
            f"{set_bytes:,} of at most {wire.MAX_SET_BYTES:,} bytes on the wire",
        ),
    ]

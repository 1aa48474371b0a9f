"""Model compiler: int8 `.tflite` to `.mpk`, the pack that the device runs in place.

reader -> passes -> dead (on request) -> ops (one file an operator) -> bands -> plan -> pack; the
format is device/kernels/FORMAT.md. Deterministic: the same file gives the same bytes, so the first
8 bytes of the pack's SHA-256, the encoder hash, name the embedding space.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, field

from .arena import draw_arena, place_records, stream_to_goal
from .dead import remove_dead_channels
from .draw import Drawing
from .error import ModelError
from .operators import record_name
from .ops import lower_op
from .pack import pack_model
from .passes import run_passes
from .reader import Graph, read_model

__all__ = ["ModelError", "Report", "compile_model", "compile_with_report", "encoder_hash"]


ARENA_GOAL_BYTES = 65_536
"""Of the arena: what fits the tightly coupled memory of small Cortex-M7 boards."""


@dataclass(frozen=True)
class Report:
    """What a compilation gave.

    `live_peak_bytes` bounds `arena_bytes` from below; `operators` counts the records; `removed` has
    a line for each operator that lost constant channels, `notes` one for each end of the model that
    the pack takes or gives as another type; `drawing` is the arena plan. `source_operators` counts
    the model's own operators, by TFLite's names, after folding, and `run_by` names their kernels.
    """

    pack_bytes: int
    arena_bytes: int
    live_peak_bytes: int
    macs: int
    operators: dict[str, int]
    encoder_hash: str
    drawing: Drawing
    removed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    source_operators: dict[str, int] = field(default_factory=dict)
    run_by: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        ops = ", ".join(f"{count} {name}" for name, count in self.operators.items())
        return (
            f"pack {self.pack_bytes:,} bytes, arena {self.arena_bytes:,} bytes "
            f"(live peak {self.live_peak_bytes:,}), "
            f"{self.macs:,} MACs, {ops}, encoder {self.encoder_hash}"
        )


def encoder_hash(pack: bytes) -> bytes:
    """The 8 bytes that name the embedding space of a pack."""
    return hashlib.sha256(pack).digest()[:8]


def _check_end(graph: Graph, index: int, which: str) -> None:
    tensor = graph.tensors[index]
    if tensor.dtype != "INT8" or len(tensor.scale) != 1 or not 1 <= len(tensor.shape) <= 4:
        shape = "x".join(map(str, tensor.shape))
        raise ModelError(
            f"{which} {tensor.name!r} is {tensor.dtype} [{shape}]; "
            "needs quantised INT8 of rank 1 to 4: "
            "export with integer input and output"
        )
    if not all(1 <= side <= 65535 for side in tensor.shape):
        raise ModelError(f"{which} {tensor.name!r} has a side outside 1..65535")


def _end_note(graph: Graph, which: str, before: int, after: int) -> str:
    """How the pack's int8 end follows from the model's, where that is not int8 itself."""
    tensor = graph.tensors[after]
    if before != after:
        scale, zero_point = float(tensor.scale[0]), int(tensor.zero_point[0])
        name = graph.tensors[before].name
        return f"{which} {name!r} is FLOAT32: round(x / {scale!r}) + {zero_point}"
    return f"{which} {tensor.name!r} is UINT8: x - 128" if tensor.unsigned else ""


def compile_with_report(
    tflite: bytes, *, remove_dead: bool = False, arena_goal: int = ARENA_GOAL_BYTES
) -> tuple[bytes, Report]:
    """The pack of an int8 model, and what it needs.

    Where it would take an arena of more than `arena_goal` bytes, convolutions are streamed row by
    row; 0 streams all that can be, at some cost in instructions.

    `remove_dead` takes channels out that are constant whatever the input: the same output from
    another pack, so another encoder hash.

    Raises ModelError, naming operator and tensor, for a model that cannot run bit-exactly.
    """
    graph = read_model(tflite)
    given = graph.input, graph.output
    run_passes(graph)
    _check_end(graph, graph.input, "input")
    _check_end(graph, graph.output, "output")
    notes = tuple(
        note
        for which, before, after in zip(
            ("input", "output"), given, (graph.input, graph.output), strict=True
        )
        if (note := _end_note(graph, which, before, after))
    )
    removed = tuple(remove_dead_channels(graph)) if remove_dead else ()
    lowered = [(op.kind, lower_op(graph, op)) for op in graph.ops]
    records = [record for _, several in lowered for record in several]
    if not records:
        raise ModelError("the model computes nothing")
    source = dict(Counter(kind for kind, _ in lowered))
    run_by = {
        kind: " and ".join(dict.fromkeys(record_name(r.kind) for r in several))
        for kind, several in lowered
    }
    records = stream_to_goal(graph, records, arena_goal)
    arena = place_records(graph, records)
    pack = pack_model(graph, records, arena.offsets, arena.size)
    operators = dict(sorted(Counter(record.name for record in records).items()))
    macs = sum(record.macs for record in records)
    name = encoder_hash(pack).hex()
    drawing = draw_arena(graph, records, arena)
    return pack, Report(
        len(pack), arena.size, arena.live_peak, macs, operators, name, drawing, removed, notes,
        source, run_by,
    )  # fmt: skip


def compile_model(tflite: bytes) -> bytes:
    """The pack of an int8 `.tflite` model; see `compile_with_report`."""
    return compile_with_report(tflite)[0]

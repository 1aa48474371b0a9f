"""What stands behind the encoder's last block, trained on the int8 map that its file gives there.

Rounding on the way to the map is then part of what those layers learn from, and a step costs a
tenth. Cells read the map and what is before it, and find both as they were, byte for byte; captions
read HEAD's output, and have to be taught anew. Where HEAD is kept, the embedding alone is trained,
which neither reads (see `embedding_only`).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from torch import Tensor

from .augment import area_shrink
from .cache import open_memmap, rows_to_do, run_parts
from .dense_rows import FeatureTower
from .distil import DistilOptions, distil
from .encoder import Encoder
from .export import Noting, Ranges, Writing
from .lessons import first_student, hold_out_check, shown, training_rows, training_words
from .student import Student
from .text import F32, normalise
from .tflite_writer import GraphWriter
from .towers import Group, open_cache

if TYPE_CHECKING:
    from .run import Run

I8 = NDArray[np.int8]
HEAD = "wide"
"""The first layer behind the map; its weights and all that follows are written anew."""


def last_map(content: bytes) -> str:
    """The name of what HEAD takes. Raises ValueError where the file has no such layer."""
    graph = schema.ModelT.InitFromPackedBuf(bytearray(content), 0).subgraphs[0]
    for operator in graph.operators:
        if graph.tensors[operator.outputs[0]].name.decode() == HEAD:
            return str(graph.tensors[operator.inputs[0]].name.decode())
    raise ValueError(f"no layer {HEAD} in this encoder: another network")


def map_tower(encoder: Path) -> FeatureTower:
    """The encoder up to the map of its last block."""
    return FeatureTower(encoder, (last_map(encoder.read_bytes()),))


BATCH = 32
"""Maps of which the extremes are noted together."""


class Maps:
    """int8[N, H, W, C] of a file, given as float[B, C, H, W]."""

    def __init__(self, stored: I8, scale: float, zero: int) -> None:
        self._stored, self._scale, self._zero = stored, scale, zero

    def __len__(self) -> int:
        return len(self._stored)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """The maps of rows int64[B]."""
        some = torch.from_numpy(np.ascontiguousarray(self._stored[rows.numpy()]))
        return ((some.float() - self._zero) * self._scale).permute(0, 3, 1, 2).contiguous()

    @classmethod
    def joined(cls, groups: list[Maps]) -> Maps:
        """The maps of all groups, one after the other; they are of one file."""
        first = groups[0]
        return cls(np.concatenate([g._stored for g in groups]), first._scale, first._zero)

    def part(self, rows: Any) -> Maps:
        """The maps of some rows."""
        return Maps(np.asarray(self._stored[rows]), self._scale, self._zero)


def _fill(
    folder: Path, encoder: Path, views: Path, row: int, group: Group, part: int, of: int
) -> None:
    """Worker: rows part, part + of, ... of a group of views that are not done yet."""
    tower = map_tower(encoder)
    pixels = open_cache(views, group, row).pixels
    maps, done = _open(folder, group, tower)
    for at in rows_to_do(done, part, of):
        small = area_shrink(np.array(pixels[at : at + 1]), tower.side)
        (maps[at],) = tower(small[0])


def _open(folder: Path, group: Group, tower: FeatureTower) -> tuple[Any, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    count, name = len(group.rows), group.name
    maps = open_memmap(folder / f"{name}.s8", np.int8, (count, *tower.shapes[0]))
    return maps, open_memmap(folder / f"{name}.done.u8", np.uint8, (count,))


def working_folder(run: Run) -> Path:
    """Where maps and checkpoint of an encoder are kept, by what it gives for a picture of noise.

    An encoder with other weights before its map must not go on with them.
    """
    tower = map_tower(run.paths.encoder)
    noise = np.random.default_rng(0).integers(0, 256, (tower.side, tower.side, 3), np.uint8)
    digest = hashlib.sha256(tower(noise)[0].tobytes()).hexdigest()
    part = "embedding" if run.plan.keep_wide else "refine"
    return run.paths.out / f"{part}-{run.paths.model}-{digest[:8]}"


def maps_of_views(run: Run, folder: Path) -> list[Maps]:
    """The file's maps of all cached views, group by group; what an earlier run has done is kept."""
    tower, found = map_tower(run.paths.encoder), []
    for group, _ in run.caches:
        maps, done = _open(folder, group, tower)
        print(f"refine: maps of {int((done == 0).sum())} of {len(done)} views to do", flush=True)
        row = run.paths.taught_by.layout.row
        arguments = (folder, run.paths.encoder, run.paths.views, row, group)
        run_parts(_fill, arguments, done, run.plan.workers, "the maps")
        found.append(Maps(maps, *tower.steps[0]))
    return found


@torch.no_grad()
def embed_maps(student: Student, maps: Maps) -> F32:
    """Raw embeddings float32[N, 256] of maps, in evaluation mode."""
    was_training = student.training
    student.eval()
    rows = torch.arange(len(maps))
    parts = [student.late(maps[some]).embedding for some in rows.split(256)]
    student.train(was_training)
    return torch.cat(parts).numpy()


def refine(run: Run) -> None:
    """Train the layers behind the map and write them into the encoder file."""
    rows, student = training_rows(run), first_student(run, run.paths.encoder)
    folder = working_folder(run)
    groups = maps_of_views(run, folder)
    kept = len(student.blocks) + run.plan.keep_wide
    whole, first = groups[0], np.cumsum([0, *map(len, groups)])
    maps = Maps.joined(groups).part(first[rows.part] + rows.place)
    held = whole.part(run.validation.photos)
    check = hold_out_check(run, lambda student: embed_maps(student, held))
    student.freeze(kept)
    print(f"refine: as it was, {shown(check(student))}")
    options = DistilOptions(
        steps=run.plan.refine_steps, head_rate=1e-3, frozen_blocks=kept, fixed=True
    )
    student = distil(
        student, rows, training_words(run), options, folder, torch.device("cpu"), check,
        every_s=60, maps=maps,
    )  # fmt: skip
    chosen = np.flatnonzero(rows.whole)
    chosen = chosen[:: max(1, len(chosen) // run.plan.calibration_photos)]
    write = write_head
    if run.plan.keep_wide:
        from .embedding_only import write_embedding as write
    write(run.paths.encoder, student, maps.part(chosen), rows.load(chosen))
    given = normalise(embed_maps(student, held))
    integers = Encoder(run.paths.encoder).many(run.caches[0][1].pixels[run.validation.photos])
    cosine = (given * normalise(integers.astype(np.float32))).sum(1)
    print(f"refine: cosine of the file to float behind its maps {cosine.mean():.4f}, "
          f"least {cosine.min():.4f}")  # fmt: skip


@torch.no_grad()
def write_head(path: Path, student: Student, maps: Maps, pixels: NDArray[np.uint8]) -> None:
    """Put the layers behind the map into the file, in place of all that is there.

    Ranges are those of `maps`; the mean that rounding shifts, seen on their `pixels`, is undone.
    """
    student = student.eval().cpu()
    ranges = Ranges()
    for some in torch.arange(len(maps)).split(BATCH):
        student.crown(Noting(ranges), maps[some])
    content, bias = path.read_bytes(), student.head.bias.detach().numpy()
    path.write_bytes(headed(content, student, ranges, bias))
    scale, _ = ranges.quantisation("embedding", symmetric=True)
    shift = embed_maps(student, maps).mean(0) - Encoder(path).many(pixels).mean(0) * scale
    path.write_bytes(headed(content, student, ranges, (bias + shift).astype(np.float32)))


def headed(content: bytes, student: Student, ranges: Ranges, bias: F32) -> bytes:
    """The file with the student's layers behind the map."""
    graph = GraphWriter.extend(content, HEAD)
    embedding = student.crown(Writing(graph, ranges, bias), graph.named(last_map(content)))
    return graph.finish([graph.named("pixels")], [embedding])

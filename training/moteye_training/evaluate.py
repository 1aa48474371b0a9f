"""The card's numbers, from the committed files: NumPy, LiteRT and Pillow, no PyTorch.

Photos of `eval-*` only; nothing is chosen here. The encoder runs on TFLite's reference kernels,
which is what the device computes; pictures are squashed by the device's integer box average.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .augment import squash
from .calibrate import see_photos
from .calibrate_boxes import background_z
from .data import Photo, evaluation_photos, open_photo
from .dense_measure import values_of
from .encoder import split_work
from .evaluate_boxes import BOX_MEANS, cell_figures
from .figures import RATIO_OF, Row, mean_ratio, row
from .operating import SHIPPED
from .plots import CUT
from .protocol import Measured, Protocol, make_protocol, measure_embeddings
from .run import Paths
from .space import DIMS, EMBEDDING, Space, load_space
from .teacher import TeacherHead
from .teachers import Teacher
from .text import WIDTH, TextTower
from .trust import alarm_rows, calibration_rows, four_bit_row
from .truth import HOUSEHOLD

SUMMARY = (
    "over_teacher", "d64_over_d256", "d16_over_d256", "int8_loss_points", "proto4bit_loss_points",
    "ece", "false_alarms.sure", "false_alarms.likely",
)  # fmt: skip
"""Figures of a model that are printed below the table."""
TOLD_WITH = "accurate"
"""The model whose card has the text tower, which all share."""
Results = dict[str, dict[int, dict[str, Measured]]]


def teacher_rows(photos: Sequence[Photo], teacher: Teacher) -> NDArray[np.float16]:
    """The teacher's rows float16[N, row] of whole photos."""
    eyes = teacher.load()
    rows = [eyes.see(squash(open_photo(photo), eyes.side)) for photo in photos]
    return np.stack(rows).astype(np.float16)


def model_rows(
    prefix: str, by_dim: dict[int, dict[str, Measured]], rival: dict[str, Measured] | None
) -> list[Row]:
    """Rows of one encoder: the whole embedding, then top-1, presence and plants of each prefix."""
    rows: list[Row] = []
    for dim in (256, *DIMS):
        whole = dim == 256 and not any(r["id"] == f"{prefix}.plants.auc" for r in rows)
        for name, m in by_dim[dim].items():
            head, _, kind = name.rpartition(".")
            if whole:
                identity = f"{prefix}.{name}"
            elif kind in ("top1", "map", "auc"):
                identity = f"{prefix}.{head}.d{dim}.{kind}"
            else:
                continue
            interval = f", 95 % {m.low:.3f}-{m.high:.3f}" if np.isfinite(m.low) else ""
            conditions = f"n={m.n}{interval}, chance {m.chance:.3f}, {dim} dimensions"
            other = rival[name].value if rival and whole else None
            rows.append(
                row(identity, m.value, "share", conditions, "teacher" if other else None, other)
            )
    for dim in (16, 64):
        ratio = mean_ratio(by_dim[dim], by_dim[256])
        rows.append(row(f"{prefix}.d{dim}_over_d256", ratio, "ratio", ", ".join(RATIO_OF)))
    return rows


def time_phrase(text: TextTower, count: int = 40) -> float:
    """Milliseconds for one phrase with all its prompts, one thread; the median."""
    times = []
    for number in range(count):
        started = time.perf_counter()
        text.phrases([f"a red cup number {number}"])
        times.append((time.perf_counter() - started) * 1e3)
    return float(np.median(times))


def cell_rows(model: str, protocol: Protocol, given: NDArray[np.int8], folder: Path) -> list[Row]:
    """Rows of the boxes, and of presence with the cells' help; without cells nothing is found."""
    if given.shape[1] == EMBEDDING:
        note = "it has no cells: nothing is found"
        return [row(f"{model}.boxes.{name}", 0.0, "share", note) for name in BOX_MEANS]
    z = {
        name: background_z(folder, given[rows, :EMBEDDING], protocol.phrases(phrases))
        for name, rows, phrases in (
            ("household", protocol.household_rows, HOUSEHOLD),
            ("plants", protocol.plant_rows, ("potted plant",)),
        )
    }
    z["plants"] = z["plants"][:, 0]
    figures = cell_figures(protocol, values_of(given[:, EMBEDDING:]), z, folder)
    rows = []
    for name, m in figures.items():
        interval = f", 95 % {m.low:.3f}-{m.high:.3f}" if np.isfinite(m.low) else ""
        note = f"n={m.n}{interval}, chance {m.chance:.3f}, 64 dimensions"
        rows.append(row(f"{model}.{name}", m.value, "share", note))
        print(f"{name:34}{m.value:8.3f}{interval}")
    return rows


def print_table(results: Results, model: str) -> None:
    """For people: a line a measure, teacher and student at 16, 64, 256."""
    print(f"{'measure':34}{'n':>6}{'chance':>8}{'teacher':>9}", end="")
    print("".join(f"{'d' + str(d):>8}" for d in (16, 64, 256)) + "   95 % of d256")
    for name, m in results[model][256].items():
        if name.startswith("household24.") and not name.endswith(".map"):
            continue
        teacher = results.get("teacher", {}).get(256, {}).get(name)
        shown = f"{teacher.value:9.3f}" if teacher else f"{'-':>9}"
        print(f"{name:34}{m.n:>6}{m.chance:>8.3f}{shown}", end="")
        print("".join(f"{results[model][d][name].value:8.3f}" for d in (16, 64, 256)), end="")
        print(f"   {m.low:.3f}-{m.high:.3f}")


def evaluate(
    paths: Paths, workers: int = 2, with_teacher: bool = True, reference: bool = True
) -> Results:
    """Measure encoder, teacher and text tower; print the tables and write `paths.bench`.

    Without `reference` the encoder runs on faster kernels that differ by steps: a smoke run.
    """
    started, model, encoder, folder = time.monotonic(), paths.model, paths.encoder, paths.space
    text, space = TextTower(paths.words), load_space(paths.words / "projection.npz")
    photos = evaluation_photos(paths.data)
    protocol = make_protocol(photos, text, space)
    given = split_work(see_photos, photos, encoder, reference, workers=workers)
    embeddings = given[:, :EMBEDDING]
    floats = embeddings.astype(np.float32)
    results: Results = {model: {d: measure_embeddings(protocol, floats, d) for d in DIMS}}
    rows: list[Row] = []
    if with_teacher:
        seen = split_work(teacher_rows, photos, paths.taught_by, workers=workers)
        raw = TeacherHead(paths.alignment, paths.taught_by.layout)(seen.astype(np.float32))
        target = space.pictures(raw)
        results["teacher"] = {d: measure_embeddings(protocol, target, d) for d in DIMS}
        rows += model_rows("teacher", results["teacher"], None)
        plain = Space(np.eye(WIDTH, dtype=np.float32), *np.zeros((2, WIDTH), np.float32))
        as_it_is = protocol.into(plain)
        cut = {d: measure_embeddings(as_it_is, raw, d) for d in DIMS}
        rows += model_rows(CUT, cut, None)
        ratio = mean_ratio(results[model][256], results["teacher"][256])
        rows.append(row(f"{model}.over_teacher", ratio, "ratio", ", ".join(RATIO_OF)))
    rival = results["teacher"][256] if with_teacher else None
    rows += model_rows(model, results[model], rival)
    rows += cell_rows(model, protocol, given, folder)
    rows += calibration_rows(model, protocol, embeddings, folder)
    rows.append(four_bit_row(model, protocol, embeddings, RATIO_OF))
    if reference and model in SHIPPED:
        rows += alarm_rows(model, protocol, embeddings)
    if model == TOLD_WITH:
        conditions = "one thread, five prompts, median of 40 phrases"
        rows.append(row("text.phrase_ms", time_phrase(text), "ms", conditions))
        rows.append(row("text.bytes", float(text.path.stat().st_size), "bytes", "text.tflite"))
    rows += stored_rows(encoder)
    print_table(results, model)
    for entry in rows:
        group, _, name = entry["id"].partition(".")
        if group == "text" or (group == model and name in SUMMARY):
            print(f"{entry['id']} = {entry['value']:.4f} ({entry['conditions']})")
    out = paths.bench
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=1) + "\n")
    print(f"wrote {out} ({len(rows)} rows) in {time.monotonic() - started:.0f} s")
    return results


def stored_rows(encoder: Path) -> list[Row]:
    """Rows measured with PyTorch in the training environment, as kept beside the encoder."""
    stored = encoder.parent / "metrics.json"
    return json.loads(stored.read_text()).get("stored_rows", []) if stored.exists() else []

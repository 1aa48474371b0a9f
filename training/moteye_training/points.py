"""The operating points side by side: what each encoder costs on a device, and how good it is.

Costs come from the committed files (compiler, Cortex-M7 and -M55 under QEMU), accuracy from their
`metrics.json`. Written into `metrics.json`, and as `points.md` and `points.svg` beside the models.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from .card import parts
from .evaluate_torch import keep_rows
from .figures import row
from .run import Paths

SET_BYTES = 6_554
"""A prototype set of 100 classes at 64 dimensions."""
BUDGETS = {
    "fast.m7_instructions": 12_000_000,
    "accurate.m7_instructions": 40_000_000,
    "accurate.ram_bytes": 285_000,
    "accurate.flash_bytes": 892_000,
}
MEASURES = (
    ("over_teacher", "of the teacher"),
    ("household24.map", "household24, mean AP"),
    ("caltech_unseen100.top1", "caltech-unseen of 100"),
    ("caltech_seen100.top1", "caltech-seen of 100"),
    ("plants.auc", "plants, AUC"),
    ("fiveshot.caltech_unseen", "by five examples"),
)
COSTS = (
    ("m7_instructions", "Cortex-M7 instructions"),
    ("m55_instructions", "Cortex-M55 instructions"),
    ("ram_bytes", "RAM: arena and stack"),
    ("flash_bytes", "flash: pack and 100 prototypes"),
)


def costs(paths: Paths) -> list[dict[str, Any]]:
    """Rows of one encoder's costs. Needs the cross compiler and QEMU."""
    from moteye.compiler import compile_with_report

    pack, report = compile_with_report(paths.encoder.read_bytes())
    script = paths.repo / "tests" / "bench" / "device" / "bench_one.py"
    counted, stack = {}, 0
    for core in ("m7", "m55"):
        target = f"cortex-{core}"
        command = [sys.executable, str(script), str(paths.encoder), "--target", target]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        counted[core] = _number(said, "instructions")
        stack = max(stack, _number(said, "bytes of stack"))
    values = {
        "m7_instructions": (counted["m7"], "instructions", "QEMU mps2-an500"),
        "m55_instructions": (counted["m55"], "instructions", "QEMU mps3-an547"),
        "ram_bytes": (report.arena_bytes + stack, "bytes", f"arena and {stack} bytes of stack"),
        "flash_bytes": (len(pack) + SET_BYTES, "bytes", "pack and 100 prototypes of 64 dimensions"),
    }
    found = []
    for name, (value, unit, note) in values.items():
        entry = row(
            f"{paths.model}.{name}", value, unit, f"{note}, python -m moteye_training points"
        )
        entry["target"] = BUDGETS.get(entry["id"])
        found.append(entry)
    return found


def _number(said: str, unit: str) -> int:
    match = re.search(rf"([\d,]+) {unit}", said)
    if match is None:
        raise ValueError(f"the bench said nothing of {unit}: {said}")
    return int(match[1].replace(",", ""))


def metrics(paths: Paths) -> dict[str, dict[str, Any]]:
    """All rows of a model's `metrics.json`, by the id behind the model's name."""
    stored = json.loads((paths.pack / "metrics.json").read_text())
    mine = f"{paths.model}."
    rows = [*stored["rows"], *stored["stored_rows"]]
    return {r["id"].removeprefix(mine): r for r in rows if r["id"].startswith(mine)}


def points(paths: Paths, models: tuple[str, ...]) -> None:
    """Measure the costs of all models; write `points.md` and, with matplotlib, `points.svg`."""
    found = {}
    for model in models:
        own = replace(paths, model=model)
        keep_rows(own, costs(own))
        found[model] = metrics(own)
    folder = paths.pack.parent
    lines = ["| | " + " | ".join(f"`{model}`" for model in models) + " |"]
    lines += ["|---" * (len(models) + 1) + "|"]
    for name, title in (*COSTS, *MEASURES):
        cells = [_cell(found[model].get(name)) for model in models]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    intro = (
        "Printed by `python -m moteye_training points`. Accuracy: `eval-*`, int8, 256 dimensions."
    )
    text = f"# Operating points\n\n{intro}\n\n" + "\n".join(lines)
    (folder / "points.md").write_text(text + "\n\n![accuracy by instructions](points.svg)\n")
    print("\n".join(lines))
    try:
        draw(found, folder / "points.svg")
    except ModuleNotFoundError as error:
        print(f"points.svg is left as it is: {error.name} is missing, pip install {error.name}")


def _cell(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return "–"
    if entry["value"] >= 1000:
        wanted = entry.get("target")
        return f"{entry['value']:,.0f}" + (f" (budget {wanted:,})" if wanted else "")
    interval = parts(entry["conditions"])[1]
    return f"{entry['value']:.3f}" + (f" ({interval})" if interval else "")


def draw(found: dict[str, dict[str, dict[str, Any]]], path: Path) -> None:
    """Presence of household things by instructions; a disc's area is the RAM."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "moteye", "font.size": 9}
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(4.6, 3.2))
    for model, rows in found.items():
        million, good = rows["m7_instructions"]["value"] / 1e6, rows["household24.map"]["value"]
        ram, flash = (rows[f"{name}_bytes"]["value"] / 1000 for name in ("ram", "flash"))
        axes.scatter([million], [good], s=[4 * ram], alpha=0.6)
        note = f"{model}\n{ram:.0f} KB RAM, {flash:.0f} KB flash"
        axes.annotate(note, (million, good), (0, -34), textcoords="offset points", ha="center")
    axes.set_xlim(0, 45)
    axes.set_ylim(0.2, 0.4)
    axes.set_xlabel("Cortex-M7, million instructions a picture")
    axes.set_ylabel("household24, mean AP")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})

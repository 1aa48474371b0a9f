"""The card's plots, from `metrics.json`: accuracy by dimension, nested and cut off.

Need matplotlib; written as SVG beside the card.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .space import DIMS

PANELS = (
    ("caltech_unseen100.top1", "names never taught, of 100"),
    ("caltech_seen100.top1", "names taught, of 100"),
    ("nips17.top1", "ImageNet names, of 110"),
    ("grocery.top1", "shop items, of 81"),
    ("household24.map", "presence of 24 things, mean AP"),
)
"""Measures of figure 5; figure 4 has the mean of their ratios to 256 dimensions."""
CUT = "teacher_cut"
"""Prefix of the teacher whose embedding is cut off as it is, without a rotation."""


def by_dimension(rows: dict[str, float], model: str, measure: str) -> list[float]:
    """A measure at each of DIMS."""
    head, _, kind = measure.rpartition(".")
    return [rows[f"{model}.{head}.d{dim}.{kind}"] for dim in DIMS]


def kept(rows: dict[str, float], model: str) -> list[float]:
    """Share of what 256 dimensions give that each dimension keeps, mean over PANELS.

    A measure of which 256 dimensions give nothing has no share.
    """
    each = [one for measure, _ in PANELS if (one := by_dimension(rows, model, measure))[-1]]
    return [sum(one[at] / one[-1] for one in each) / max(1, len(each)) for at in range(len(DIMS))]


def draw(metrics: Path, folder: Path, student: str) -> list[Path]:
    """Write `truncation.svg` and `dimensions.svg` of a model; returns their paths."""
    import matplotlib as mpl

    mpl.use("svg")
    # The same file for the same numbers.
    mpl.rcParams |= {"svg.hashsalt": "moteye", "font.size": 9}
    stored = json.loads(metrics.read_text())
    rows = {row["id"]: float(row["value"]) for row in stored["rows"]}
    return [
        truncation(rows, student, folder / "truncation.svg"),
        dimensions(rows, student, folder / "dimensions.svg"),
        reliability(stored["rows"], student, folder / "reliability.svg"),
    ]


def _axes(axes: Any, title: str, what: str) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(DIMS, [str(dim) for dim in DIMS])
    axes.set_xlabel("dimensions")
    axes.set_ylabel(what)
    axes.set_title(title, fontsize=9)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)


def _save(figure: Any, path: Path) -> Path:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    return path


def truncation(rows: dict[str, float], student: str, path: Path) -> Path:
    """The paper's figure 4: the nested student beside the teacher, nested and cut off."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(4.6, 3.2))
    labels = ((student, "student, nested"), ("teacher", "teacher, rotated"), (CUT, "teacher, cut"))
    for model, label in labels:
        axes.plot(DIMS, kept(rows, model), marker="o", label=label)
    _axes(axes, "what a shorter embedding keeps", "share of 256 dimensions")
    axes.legend()
    return _save(figure, path)


def dimensions(rows: dict[str, float], student: str, path: Path) -> Path:
    """The paper's figure 5: each measure by dimension, student and teacher."""
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(PANELS), figsize=(12, 2.8))
    for axes, (measure, title) in zip(panels, PANELS, strict=True):
        for model in (student, "teacher"):
            axes.plot(DIMS, by_dimension(rows, model, measure), marker="o", label=model)
        _axes(axes, title, "mean AP" if measure.endswith(".map") else "top-1")
    panels[0].legend()
    return _save(figure, path)


def reliability(rows: Sequence[Mapping[str, Any]], student: str, path: Path) -> Path:
    """How often a thing is there by how probable it is said to be: each bin, and the diagonal."""
    from matplotlib import pyplot

    bins = [row for row in rows if row["id"].startswith(f"{student}.reliability.")]
    (error,) = (row["value"] for row in rows if row["id"] == f"{student}.ece")
    figure, axes = pyplot.subplots(figsize=(3.6, 3.4))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    said, there = [row["rival_value"] for row in bins], [row["value"] for row in bins]
    axes.plot(said, there, marker="o")
    for row in bins:
        pairs = row["conditions"].split()[0]
        axes.annotate(pairs, (row["rival_value"], row["value"]), (4, -9), fontsize=6,
                      textcoords="offset points")  # fmt: skip
    axes.set_xlabel("probability said")
    axes.set_ylabel("share that is there")
    axes.set_title(f"24 things, expected calibration error {error:.3f}", fontsize=9)
    axes.grid(alpha=0.3)
    return _save(figure, path)


CURVES = (
    ("new", "names never taught, top-1"),
    ("seen", "names taught, top-1"),
    ("household", "presence of 24 things, mean AP"),
    ("cos", "cosine to the teacher"),
)
"""Hold-out measures of the learning curves."""


def learning_curves(stored: Path, path: Path) -> Path:
    """Hold-out measures by how many photos were trained on, from `learning_curves.json`."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "moteye", "font.size": 9}
    from matplotlib import pyplot

    found = json.loads(stored.read_text())
    figure, axes = pyplot.subplots(figsize=(4.6, 3.2))
    for name, title in CURVES:
        axes.plot(found["photos"], found[name], marker="o", label=title)
    axes.set_xscale("log", base=2)
    axes.set_xticks(found["photos"], [f"{count:,}" for count in found["photos"]])
    axes.set_xlabel("photos trained on")
    axes.set_ylim(0, 0.5)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    return _save(figure, path)

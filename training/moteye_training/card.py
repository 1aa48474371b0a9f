"""Writes the model card and `metrics.json` from `encoder.json` and the files themselves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .evaluate_boxes import BOX_MEANS

if TYPE_CHECKING:
    from .run import Paths

MEASURES = (
    ("caltech_unseen100.top1", "caltech-unseen among 100 names"),
    ("caltech_unseen100.top5", "the same, top-5"),
    ("caltech_unseen50.top1", "caltech-unseen among its 50"),
    ("caltech_seen100.top1", "caltech-seen among 100"),
    ("grocery.top1", "grocery, 81 names"),
    ("nips17.top1", "nips17-imagenet, 110 names"),
    ("flowers_seen.top1", "flowers-seen among 102"),
    ("flowers_unseen.top1", "flowers-unseen among 102"),
    ("household24.map", "household24: mean AP of presence"),
    ("plants.auc", "plants: AUC of \"potted plant\""),
    ("plants.ap", "plants: AP of \"potted plant\""),
    ("captions.r1", "photo to caption of 1,000, R@1"),
    ("captions.r5", "the same, R@5"),
    ("fiveshot.caltech_unseen", "caltech-unseen by five example photos a name"),
)  # fmt: skip
"""Measures of the card's table and their names there; top-1 unless said."""


def parts(conditions: str) -> tuple[str, str, str]:
    """n, interval and chance out of a row's conditions."""
    fields = [field.strip() for field in conditions.split(",")]
    n = next((f[2:] for f in fields if f.startswith("n=")), "")
    interval = next((f[5:] for f in fields if f.startswith("95 % ")), "")
    chance = next((f[7:] for f in fields if f.startswith("chance ")), "")
    return n, interval, chance


def at_dim(measure: str, dim: int) -> str:
    """Id of a measure at a prefix."""
    head, _, kind = measure.rpartition(".")
    return f"{head}.d{dim}.{kind}"


def table(rows: dict[str, dict[str, Any]], model: str) -> list[str]:
    """The main table of a model in Markdown."""
    lines = [
        "| measure | n | chance | teacher | d16 | d64 | d256 | 95 % of d256 |",
        "|---|---|---|---|---|---|---|---|",
    ]

    def shown(identity: str) -> str:
        entry = rows.get(identity)
        return f"{entry['value']:.3f}" if entry else "–"

    for measure, name in MEASURES:
        entry = rows.get(f"{model}.{measure}")
        if entry is None:
            continue
        n, interval, chance = parts(entry["conditions"])
        cells = [
            name,
            n,
            chance,
            shown(f"teacher.{measure}"),
            shown(f"{model}.{at_dim(measure, 16)}"),
            shown(f"{model}.{at_dim(measure, 64)}"),
            shown(f"{model}.{measure}"),
            interval,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def household_table(rows: dict[str, dict[str, Any]], model: str) -> list[str]:
    """AP of each household phrase beside chance and teacher."""
    lines = ["| phrase | chance | teacher | d256 |", "|---|---|---|---|"]
    for identity, entry in rows.items():
        if identity.startswith(f"{model}.household24.") and identity.endswith(".ap"):
            name = identity.split(".")[2].replace("_", " ")
            teacher = rows.get(identity.replace(model, "teacher", 1))
            other = f"{teacher['value']:.2f}" if teacher else "–"
            chance = parts(entry["conditions"])[2]
            lines.append(f"| {name} | {chance} | {other} | {entry['value']:.2f} |")
    return lines


def single_rows(rows: dict[str, dict[str, Any]], identities: Sequence[str]) -> list[str]:
    """`id | value | conditions` for figures that stand alone."""
    lines = ["| figure | value | conditions |", "|---|---|---|"]
    for identity in identities:
        entry = rows.get(identity)
        if entry:
            value = entry["value"]
            text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
            lines.append(f"| `{identity}` | {text} {entry['unit']} | {entry['conditions']} |")
    return lines


def boxes_table(rows: dict[str, dict[str, Any]], model: str) -> list[str]:
    """Centroid F1 and AP50 of each name, and their means."""
    lines = ["| name | centroid F1 | AP50 |", "|---|---|---|"]
    for identity, entry in rows.items():
        _, group, *rest = identity.split(".")
        if group == "boxes" and rest[-1] == "f1":
            area = rows[identity.removesuffix("f1") + "ap50"]["value"]
            name = rest[0].replace("_", " ")
            lines.append(f"| {name} | {entry['value']:.2f} | {area:.2f} |")
    means = [rows[f"{model}.boxes.{kind}"]["value"] for kind in BOX_MEANS]
    return [*lines, f"| **mean** | {means[0]:.3f} | {means[1]:.3f} |"]


SINGLE = (
    "over_teacher", "d64_over_d256", "d16_over_d256", "int8_loss_points",
    "int8_activation_loss_points", "proto4bit_loss_points", "ece", "false_alarms.sure",
    "false_alarms.likely", "m7_instructions", "m55_instructions", "ram_bytes", "flash_bytes",
)  # fmt: skip
TEXT = (
    "text.cosine", "text.cosine.words", "text.cosine.captions", "text.phrase_ms", "text.bytes",
)  # fmt: skip
PRESENCE = (
    "household24.d64.map", "household24.cells.map", "household24.together.map", "plants.d64.auc",
    "plants.cells.auc", "plants.together.auc",
)  # fmt: skip


def write_card(paths: Paths, template: Path) -> None:
    """Fill the template's `{{...}}` places; write `CARD.md` and `metrics.json` in the pack.

    Raises ValueError for a calibration of another encoder.
    """
    entries, pack, model = json.loads(paths.bench.read_text()), paths.pack, paths.model
    rows = {entry["id"]: entry for entry in entries}
    digest = hashlib.sha256(paths.encoder.read_bytes()).hexdigest()
    calibration = json.loads((paths.space / "calibration.json").read_text())
    if calibration["encoder_tflite_sha256"] != digest:
        raise ValueError("calibration.json was made with another encoder: run `background`")
    places = {
        "table": "\n".join(table(rows, model)),
        "household": "\n".join(household_table(rows, model)),
        "single": "\n".join(single_rows(rows, (*(f"{model}.{name}" for name in SINGLE), *TEXT))),
        "sha256": digest,
        "bytes": f"{paths.encoder.stat().st_size:,}",
        "fit": json.dumps(calibration["dims"]["64"]),
        "exclusion": json.dumps(calibration["exclusion"]["measured"]),
    }
    if "boxes" in calibration:
        chosen = calibration["boxes"]
        places |= {
            "boxes": "\n".join(boxes_table(rows, model)),
            "presence": "\n".join(single_rows(rows, [f"{model}.{name}" for name in PRESENCE])),
            "threshold": str(chosen["threshold"]),
            "weight": str(chosen["weight"]),
            "held": str(chosen["photos"]),
        }
    text = template.read_text()
    for name, value in places.items():
        text = text.replace("{{" + name + "}}", value)
    (pack / "CARD.md").write_text(text)
    metrics = pack / "metrics.json"
    stored = json.loads(metrics.read_text()) if metrics.exists() else {}
    own = {entry["id"] for entry in stored.get("stored_rows", [])}
    result = {
        "encoder_tflite_sha256": digest,
        "command": f"python -m moteye_training evaluate --model {model}",
        "rows": [entry for entry in entries if entry["id"] not in own],
        "stored_rows": stored.get("stored_rows", []),
    }
    metrics.write_text(json.dumps(result, indent=1) + "\n")

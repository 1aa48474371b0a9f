"""`moteye score`: what a picture would mean to a policy."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from moteye import policies
from moteye.core.scoring import prob_q8
from moteye.core.track import BAND_Q8
from moteye.imaging import ImageEncoder, load_rgb
from moteye.resources import DEFAULT_MODEL
from moteye.text.space import load_space


def score(
    image: Annotated[Path, typer.Argument(help="a picture")],
    policy: Annotated[Path, typer.Option(help="a policy file or a folder of them")],
    space: Annotated[str, typer.Option(help="embedding space")] = DEFAULT_MODEL,
    dim: Annotated[int, typer.Option(help="dimension to score at")] = 64,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a phrase")] = False,
) -> None:
    """Show every phrase's probability and margin on IMAGE, and whether it would count as seen."""
    found = policies.load(policy)
    pixels = load_rgb(image)
    loaded = load_space(space)
    compiled = loaded.compile(found, number=1, dim=dim)
    embedding = ImageEncoder(loaded.model / "encoder.tflite").encode(pixels)
    margins = compiled.scorer.margins_q8(embedding[None])[0]
    rows = []
    for item in compiled.policies:
        for phrase, column, needed in zip(
            item.policy.phrases, item.columns, item.enter_q8, strict=True
        ):
            margin = margins[column : column + 1]
            rows.append(
                {
                    "policy": item.policy.name,
                    "phrase": phrase,
                    "probability": round(int(prob_q8(margin)[0]) / 255, 3),
                    "margin": round(int(margin[0]) / 256, 2),
                    "threshold": round(int(needed) / 256, 2),
                    "seen": bool(margin[0] >= needed + BAND_Q8),
                    "unsure": bool(-BAND_Q8 <= margin[0] - needed < BAND_Q8),
                }
            )
    rows.sort(key=lambda row: (str(row["policy"]), -float(str(row["margin"]))))
    _show(rows, image, as_json)


def _show(rows: list[dict[str, object]], image: Path, as_json: bool) -> None:
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    table = Table(title=str(image), title_justify="left")
    for heading in ("policy", "phrase", "probability", "margin", "threshold", "seen"):
        table.add_column(heading, justify="left" if heading in ("policy", "phrase") else "right")
    for row in rows:
        cells = [str(value) for value in list(row.values())[:-2]]
        verdict = "[green]yes[/]" if row["seen"] else "unsure" if row["unsure"] else "no"
        table.add_row(*cells, verdict)
    Console().print(table)

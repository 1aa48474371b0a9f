"""`moteye score`: what a picture would mean to a policy."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer
from rich.console import Console
from rich.table import Table

from moteye import policies
from moteye.core.layout import CompiledPolicy
from moteye.core.scoring import prob_q8
from moteye.core.track import BAND_Q8
from moteye.errors import ConfigError
from moteye.imaging import ImageEncoder, load_rgb
from moteye.resources import DEFAULT_MODEL
from moteye.text.space import load_space

Row = dict[str, object]


def score(
    policy: Annotated[Path, typer.Option(help="a policy file or a folder of them")],
    image: Annotated[Path | None, typer.Argument(help="a picture")] = None,
    says: Annotated[
        str | None, typer.Option(help="a sentence that a device might say, for `caption:`")
    ] = None,
    space: Annotated[str, typer.Option(help="embedding space")] = DEFAULT_MODEL,
    dim: Annotated[int, typer.Option(help="dimension to score at")] = 64,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a phrase")] = False,
) -> None:
    """Show every phrase's probability and margin on IMAGE, and whether it would count as seen.

    With --says how much a sentence means what policies about captions ask for.
    """
    if image is None and says is None:
        raise ConfigError("nothing to score: a picture, or --says TEXT for policies about captions")
    found = policies.load(policy)
    pixels = load_rgb(image) if image is not None else None
    loaded = load_space(space)
    compiled = loaded.compile(found, number=1, dim=dim)
    rows = []
    if pixels is not None:
        embedding = ImageEncoder(loaded.model / "encoder.tflite").encode(pixels)
        margins = compiled.scorer.margins_q8(embedding[None])[0]
        rows += _rows([item for item in compiled.policies if not item.hears], margins)
    captions = compiled.captions
    if says is not None and captions is not None:
        vector = np.frombuffer(loaded.sentence_vector(says), np.int8)
        rows += _rows(captions.policies, captions.scorer.margins_q8(vector[None])[0])
    rows.sort(key=lambda row: (str(row["policy"]), -float(str(row["margin"]))))
    _show(rows, " and ".join(str(given) for given in (image, says) if given is not None), as_json)
    left = [item.name for item in found if item.hears] if says is None else []
    if left and not as_json:
        print(f"about captions: {', '.join(left)}; --says TEXT scores a sentence for them")


def _rows(items: Iterable[CompiledPolicy], margins: npt.NDArray[np.int16]) -> list[Row]:
    """A row for each phrase; margins int16[K] by the policies' columns."""
    rows: list[Row] = []
    for item in items:
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
    return rows


def _show(rows: list[Row], title: str, as_json: bool) -> None:
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    table = Table(title=title, title_justify="left")
    for heading in ("policy", "phrase", "probability", "margin", "threshold", "seen"):
        table.add_column(heading, justify="left" if heading in ("policy", "phrase") else "right")
    for row in rows:
        cells = [str(value) for value in list(row.values())[:-2]]
        verdict = "[green]yes[/]" if row["seen"] else "unsure" if row["unsure"] else "no"
        table.add_row(*cells, verdict)
    Console().print(table)

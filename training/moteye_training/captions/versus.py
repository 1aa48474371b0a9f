"""AttSSM against NIC and LSTM + Bahdanau: equal parameters, data, batches and steps, several seeds.

Writes `training/captions/rivals.json`: every run with its figures on the hold-out and on
`coco-eval` (float decoders on the maps that the int8 encoder gives, beam 3).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..cache import write_whole
from .beam import float_captions
from .evaluate import evaluation, scores, whole_maps
from .rivals import DECODERS, parameters
from .run import Options
from .sentences import gather
from .stages import Work
from .train import HoldOut, Maps, real, teach_words

MEASURED = ("CIDEr-D", "BLEU-4")
SHARES = (0.25, 0.5, 1.0)


def one_run(work: Work, hold_out: HoldOut, kind: str, seed: int) -> dict[str, Any]:
    """Train a decoder (or take up its run) and say what it is worth."""
    plan = work.plan
    part = "" if plan.share == 1 else f"-{plan.share:g}"
    done = work.out / "rivals" / f"{kind}-{seed}{part}.json"
    if done.exists():
        stored: dict[str, Any] = json.loads(done.read_text())
        if stored["steps"] == plan.steps and stored["share"] == plan.share:
            return stored
        raise ValueError(f"{done}: of another plan; choose another --out")
    model = work.fresh(kind, seed)
    maps, places = work.maps
    sentences = gather(work.captioned, work.vocabulary, {}, labels=False)
    options = Options("words", plan.steps, plan.batch, seed=seed, save_every=max(1, plan.steps))
    average = teach_words(
        model, sentences, Maps.of(maps, work.tap, places, sentences.keys), hold_out, options,
        done.with_suffix(""),
    )  # fmt: skip
    photos = evaluation(work.data)
    looked = real(whole_maps(photos, work.out, work.encoder), work.tap).to(plan.device)
    said = float_captions(average, work.vocabulary, looked)
    values = scores(said, [p.captions for p in photos], MEASURED)
    kept = hold_out(average)
    found = {
        "decoder": kind, "seed": seed, "steps": plan.steps, "batch": plan.batch,
        "share": plan.share, "captions": len(sentences.weight), "parameters": parameters(average),
        "hold_out_loss": round(kept["loss"], 4), "hold_out_ciderd": round(kept["ciderd"], 3),
        "coco_eval": {name: round(value, 3) for name, value in values.items()},
    }  # fmt: skip
    write_whole(done, lambda file: file.write(json.dumps(found).encode()))
    print(f"rivals: {found}", flush=True)
    return found


def versus(work: Work, seeds: int) -> None:
    """All runs, seed by seed, so that a run cut short still compares all decoders."""
    runs = [
        one_run(work, work.hold_out, kind, work.plan.seed + seed)
        for seed in range(seeds)
        for kind in DECODERS
    ]
    path = work.repo / "training/captions/rivals.json"
    plan = work.plan
    command = f"moteye_training.captions rivals --steps {plan.steps} --seeds {seeds}"
    path.write_text(json.dumps({"command": command, "runs": runs}, indent=1) + "\n")
    print(f"rivals: {len(runs)} runs -> {path}", flush=True)


def curve(work: Work) -> None:
    """AttSSM on 25, 50 and 100 % of the captioned photos, equal steps: `training/captions/curve.*`.

    The run on all of them is the comparison's first one.
    """
    runs = []
    for share in SHARES:
        part = replace(work, plan=replace(work.plan, share=share))
        runs.append(one_run(part, part.hold_out, "attssm", work.plan.seed))
    folder = work.repo / "training/captions"
    command = f"moteye_training.captions curve --steps {work.plan.steps}"
    (folder / "curve.json").write_text(
        json.dumps({"command": command, "runs": runs}, indent=1) + "\n"
    )
    plot_curve(
        folder / "curve.svg", [(run["captions"], run["coco_eval"]["CIDEr-D"]) for run in runs]
    )
    print(f"curve: {len(runs)} runs -> {folder}/curve.json", flush=True)


def plot_curve(path: Path, points: Sequence[tuple[int, float]]) -> None:
    """SVG of CIDEr-D over captions, both from 0, with the figures beside the points."""
    width, height, left, bottom = 420, 240, 48, 36
    most, best = max(x for x, _ in points), max(y for _, y in points)

    def place(x: float, y: float) -> tuple[float, float]:
        across = left + (width - left - 40) * x / most
        return round(across, 1), round(height - bottom - (height - bottom - 30) * y / best, 1)

    axis = (
        f'<path d="M{left} 16V{height - bottom}H{width - 16}" fill="none" stroke="#888"/>'
        f'<text x="{width // 2}" y="{height - 6}" text-anchor="middle">captions</text>'
        f'<text x="8" y="12">CIDEr-D x 100, coco-eval</text>'
    )
    placed = [place(x, y) for x, y in points]
    line = "M" + "L".join(f"{x} {y}" for x, y in placed)
    marks = "".join(
        f'<circle cx="{px}" cy="{py}" r="3" fill="#06c"/>'
        f'<text x="{px}" y="{py - 8}" text-anchor="middle">{value:.1f}</text>'
        f'<text x="{px}" y="{height - bottom + 14}" text-anchor="middle">{count:,}</text>'
        for (px, py), (count, value) in zip(placed, points, strict=True)
    )
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12" fill="#444"><rect width="100%" height="100%" '
        f'fill="#fff"/>{axis}<path d="{line}" fill="none" stroke="#06c"/>{marks}</svg>\n'
    )

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
    plot_curve(folder / "curve.svg", runs)
    print(f"curve: {len(runs)} runs -> {folder}/curve.json", flush=True)


def plot_curve(path: Path, runs: Sequence[dict[str, Any]]) -> None:
    """SVG: CIDEr-D on `coco-eval` and loss a word on the hold-out, over captions learnt from."""
    import matplotlib as mpl

    mpl.use("svg")
    # The same file for the same numbers.
    mpl.rcParams |= {"svg.hashsalt": "moteye", "font.size": 9}
    from matplotlib import pyplot

    counts = [run["captions"] for run in runs]
    figure, panels = pyplot.subplots(1, 2, figsize=(7, 2.8))
    for axes, title, values in (
        (panels[0], "CIDEr-D x 100, coco-eval", [run["coco_eval"]["CIDEr-D"] for run in runs]),
        (panels[1], "loss a word, hold-out, nats", [run["hold_out_loss"] for run in runs]),
    ):
        axes.plot(counts, values, marker="o")
        axes.set_xticks(counts)
        axes.set_xlabel(f"captions, {runs[0]['steps']} batches each")
        axes.set_title(title, fontsize=9)
        axes.grid(alpha=0.3)
    panels[0].set_ylim(bottom=0)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})

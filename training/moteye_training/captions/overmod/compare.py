"""OverMod-nano's captions after each stage, and what each part of the model is worth at that size.

Writes `training/captions/overmod.json` and `ablation.json`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ...cache import write_whole
from ..beam import float_captions
from ..decoder import AttSSM, Decoder, DecoderSize
from ..evaluate import evaluation, scores
from ..run import Options
from ..sentences import gather
from ..tap import Tap
from ..train import Maps, load_decoder, real, teach_words
from .encoder import CaptionEncoder
from .operators import build, file_bytes
from .whole import load_encoder, load_whole
from .work import OwnWork

MEASURED = ("CIDEr-D", "BLEU-4")


class PlainContext(AttSSM):
    """AttSSM whose context is the mean of the map, whatever the hidden state."""

    kind = "attssm-plain"

    def context(self, seen: Tensor, hidden: Tensor) -> Tensor:
        """float[B, D]."""
        return F.hardswish(seen).mean(1)


class SpatialContext(AttSSM):
    """AttSSM with spatial modulation alone."""

    kind = "attssm-spatial"

    def context(self, seen: Tensor, hidden: Tensor) -> Tensor:
        """float[B, D]."""
        return F.hardswish(seen + self.spatial(hidden)[:, None]).mean(1)


@dataclass(frozen=True)
class Row:
    """A row of the ablation: which of the joined channels it reads, and its decoder."""

    name: str
    part: Callable[[OwnWork], slice]
    decoder: type[AttSSM]


def _over(work: OwnWork) -> slice:
    last = work.size.channels[3]
    return slice(work.tap.channels - 2 * last, work.tap.channels - last)


def _last(work: OwnWork) -> slice:
    return slice(work.tap.channels - work.size.channels[3], work.tap.channels)


def _all(work: OwnWork) -> slice:
    return slice(0, work.tap.channels)


ROWS = (
    Row("static blocks (OverNet's last map)", _over, PlainContext),
    Row("dynamic convolution (ModNet's last map)", _last, PlainContext),
    Row("+ multi-scale fusion", _all, PlainContext),
    Row("+ spatial modulation", _all, SpatialContext),
    Row("+ channel modulation (the whole)", _all, AttSSM),
)


def said(work: OwnWork, model: Decoder, maps: Any) -> dict[str, float]:
    """Scores of float captions of `coco-eval`, beam 3."""
    photos = evaluation(work.data)
    model.eval()
    texts = float_captions(model, work.vocabulary, maps)
    return {
        name: round(value, 3)
        for name, value in scores(texts, [p.captions for p in photos], MEASURED).items()
    }


def of_stage(work: OwnWork, stage: str) -> tuple[CaptionEncoder, Decoder]:
    """What a stage left."""
    path = work.out / f"{stage}.pt"
    if stage == "words" and not work.size.fusion:
        return CaptionEncoder(load_encoder(work.out / "classes.pt")), load_decoder(path)
    if stage == "reward":
        return load_whole(work.out / "together.pt").encoder, load_decoder(path)
    whole = load_whole(path)
    return whole.encoder, whole.decoder


def compare(work: OwnWork) -> None:
    """What the captions of each finished stage are worth."""
    pixels, places = work.captioned_pictures
    rows = []
    for stage in ("words", "together", "reward"):
        path = work.out / f"{stage}.pt"
        if not path.exists():
            continue
        encoder, decoder = of_stage(work, stage)
        maps = work.encoded(encoder, pixels, "maps")
        looked = real(work.encoded(encoder, work.evaluation_pictures, "maps_eval"), work.tap)
        kept = work.held_out(maps, places, work.tap)(decoder)
        steps = int(torch.load(path, weights_only=True, map_location="cpu")["step"])
        row = {
            "stage": stage, "steps": steps, "hold_out_loss": round(kept["loss"], 4),
            "coco_eval": said(work, decoder, looked),
        }  # fmt: skip
        print(row, flush=True)
        rows.append(row)
    encoder, decoder = build(work.name)
    classes = torch.load(work.out / "classes.pt", weights_only=True, map_location="cpu")
    found = {
        "command": "moteye_training.captions.overmod compare", "class_steps": classes["step"],
        "encoder_bytes": file_bytes(encoder, ("encoder.head",)),
        "decoder_bytes": file_bytes(decoder), "stages": rows,
    }  # fmt: skip
    path = work.repo / "training/captions/overmod.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
    print(f"compare: {len(rows)} stages -> {path}", flush=True)


def ablation(work: OwnWork, seeds: int) -> None:
    """Decoders of equal short schedules on the frozen encoder of stage 1, row by row.

    Raises ValueError for a size whose fusion mixes channels, so that none can be left out.
    """
    if work.size.fusion:
        raise ValueError(f"the ablation leaves out channels, which {work.name}'s fusion mixes")
    pixels, places = work.captioned_pictures
    encoder = CaptionEncoder(load_encoder(work.out / "classes.pt"))
    maps = np.asarray(work.encoded(encoder, pixels, "maps"))
    looked = np.asarray(work.encoded(encoder, work.evaluation_pictures, "maps_eval"))
    found = []
    for row in ROWS:
        part = row.part(work)
        tap = Tap(work.tap.positions, part.stop - part.start, 1.0, 0)
        runs = [
            _ablated(work, row, seed, tap, (maps[..., part], looked[..., part]), places)
            for seed in range(1, seeds + 1)
        ]
        found.append({"part": row.name, "runs": runs})
    command = f"moteye_training.captions.overmod ablation --steps {work.plan.steps} --seeds {seeds}"
    path = work.repo / "training/captions/ablation.json"
    path.write_text(json.dumps({"command": command, "rows": found}, indent=1) + "\n")
    print(f"ablation: {len(found)} rows -> {path}", flush=True)


def _ablated(
    work: OwnWork, row: Row, seed: int, tap: Tap, arrays: tuple[Any, Any], places: Any
) -> dict[str, Any]:
    """One run, or what is stored of it."""
    plan = work.plan
    folder = work.out / "ablation" / f"{ROWS.index(row)}-{seed}-{plan.steps}"
    done = folder / "figures.json"
    if done.exists():
        stored: dict[str, Any] = json.loads(done.read_text())
        return stored
    torch.manual_seed(seed)
    model = row.decoder(
        DecoderSize(tap.positions, tap.channels, len(work.vocabulary), plan.width, plan.states)
    )
    work.place_words(model)
    sentences = gather(work.captioned, work.vocabulary, {}, labels=False)
    hold_out = work.held_out(arrays[0], places, tap)
    options = Options("words", plan.steps, plan.batch, seed=seed, save_every=plan.steps)
    average = teach_words(
        model.to(plan.device), sentences, Maps.of(arrays[0], tap, places, sentences.keys),
        hold_out, options, folder,
    )  # fmt: skip
    kept = hold_out(average)
    figures = {
        "seed": seed, "steps": plan.steps, "hold_out_loss": round(kept["loss"], 4),
        "coco_eval": said(work, average, real(arrays[1], tap).to(plan.device)),
    }  # fmt: skip
    write_whole(done, lambda file: file.write(json.dumps(figures).encode()))
    print(f"ablation: {row.name} {figures}", flush=True)
    return figures

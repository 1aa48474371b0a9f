"""How far scores can be trusted: calibration, promised false alarms, what 4-bit prototypes lose."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from moteye.core.calibration import PROMISED_RATE
from moteye.core.compile import CompiledSet
from moteye.core.language import parse_policy
from moteye.core.prototypes import quantise_rows
from moteye.core.report import wilson
from moteye.core.scoring import scaled_rows
from moteye.text.space import Space, load_space
from numpy.typing import NDArray

from .bank import BINS, expected_calibration_error, reliability
from .calibrate import HOME_PRIOR
from .calibrate_boxes import background_z
from .figures import Row, mean_loss, row
from .protocol import Protocol, measure_embeddings
from .space import EMBEDDING
from .truth import HOUSEHOLD

ALARM_TARGET = 2.0
"""False alarms measured over promised, at most."""


@dataclass(frozen=True)
class Alarms:
    """Means over phrases: false alarms per absent photo, share of shown things seen."""

    false_rate: float
    seen_rate: float
    false_count: int
    pairs: int

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the false-alarm rate of all pairs (Wilson)."""
        return wilson(self.false_count, self.pairs)


def compiled_for(space: Space, word: str, dim: int) -> CompiledSet:
    """The household phrases at a certainty, one policy each."""
    text = "see: a {0}\ncertainty: {1}\nthen: [log]\n"
    policies = [
        parse_policy(text.format(name, word), name, name.replace(" ", "-")) for name in HOUSEHOLD
    ]
    return space.compile(policies, number=1, dim=dim)


def count_alarms(
    compiled: CompiledSet, margins: NDArray[np.int16], shown: NDArray[np.bool_]
) -> Alarms:
    """Margins int16[N, K] and truth bool[N, 24] -> how the thresholds do."""
    false, true, count = [], [], 0
    for item, truth in zip(compiled.policies, shown.T, strict=True):
        seen = margins[:, item.columns[0]] >= item.enter_q8[0]
        false.append(float(seen[~truth].mean()))
        true.append(float(seen[truth].mean()))
        count += int(seen[~truth].sum())
    return Alarms(float(np.mean(false)), float(np.mean(true)), count, int((~shown).sum()))


def alarm_rows(model: str, protocol: Protocol, embeddings: NDArray[np.int8]) -> Iterator[Row]:
    """False alarms over promised ones on `coco-eval`, for the committed files of a model."""
    space, dim = load_space(model), 64
    shown = protocol.household_known == 1
    for word, promised in PROMISED_RATE.items():
        compiled = compiled_for(space, word, dim)
        margins = compiled.scorer.margins_q8(embeddings[protocol.household_rows])
        found = count_alarms(compiled, margins, shown)
        low, high = (rate / promised for rate in found.interval)
        note = (
            f"{found.false_count} in {found.pairs} absent pairs of coco-eval, promised {promised}, "
            f"95 % {low:.2f}-{high:.2f}, {dim} dimensions, seen {found.seen_rate:.3f}"
        )
        yield {
            **row(f"{model}.false_alarms.{word}", found.false_rate / promised, "ratio", note),
            "target": ALARM_TARGET,
        }


def calibration_rows(
    model: str, protocol: Protocol, embeddings: NDArray[np.int8], folder: Path
) -> Iterator[Row]:
    """ECE of P(present) and its diagram: 24 phrases on `coco-eval`, 64 dimensions, HOME_PRIOR."""
    stored = json.loads((folder / "calibration.json").read_text())["dims"]["64"]
    z = background_z(folder, embeddings[protocol.household_rows], protocol.phrases(HOUSEHOLD))
    said = 1 / (1 + np.exp(-(stored["a"] * z + stored["b"]))).ravel()
    present = protocol.household_known.ravel() == 1
    share = present.mean()
    weight = np.where(present, HOME_PRIOR / share, (1 - HOME_PRIOR) / (1 - share))
    weight = weight.astype(np.float32)
    note = f"24 phrases x {len(protocol.household_rows)} photos, 64 dimensions, prior {HOME_PRIOR}"
    error = expected_calibration_error(said, present, weight)
    yield row(f"{model}.ece", error, "share", note)
    for number, one in enumerate(reliability(said, present, weight)):
        if one is not None:
            where = f"{one.count} pairs said to be {number / BINS:.1f}-{(number + 1) / BINS:.1f}"
            yield row(
                f"{model}.reliability.{number}", one.present, "share", where, "said", one.said
            )


def in_four_bits(protocol: Protocol) -> Protocol:
    """The same tasks with names as the rows of a prototype set: 4 bits, a scale a plane."""
    names = [name for name in protocol.vectors if name != "captions"]
    codes, scale = quantise_rows(protocol.phrases(names))
    rows = scaled_rows(codes, scale, EMBEDDING).astype(np.float32)
    vectors = {**protocol.vectors, **dict(zip(names, rows, strict=True))}
    return replace(protocol, vectors=vectors)


def four_bit_row(
    model: str, protocol: Protocol, embeddings: NDArray[np.int8], measures: Sequence[str]
) -> Row:
    """Points that 4-bit prototypes lose against float ones, by the same int8 encoder."""
    floats = embeddings.astype(np.float32)
    above = measure_embeddings(protocol, floats, EMBEDDING)
    below = measure_embeddings(in_four_bits(protocol), floats, EMBEDDING)
    note = f"n={len(embeddings)}, {EMBEDDING} dimensions, {', '.join(measures)}"
    return row(f"{model}.proto4bit_loss_points", mean_loss(above, below, measures), "points", note)

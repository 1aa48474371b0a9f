"""Distillation of the teacher into the student, at the student's resolution.

Resumable: the checkpoint holds weights, averaged weights, optimiser and the time already spent;
the learning rate follows the share of the time budget, so that a run ends when it should on
whatever machine it has. B = batch, D = 256, K = names.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .cache import write_whole
from .losses import (
    alike_texts,
    cosine_loss,
    relational_loss,
    slices,
    text_contrast,
    text_relational_loss,
)
from .rows import Rows, batches, choose_texts, jitter, to_input
from .space import Space
from .student import Encoded, Student, shrink
from .team import Team
from .text import F32
from .truth import TextBank
from .zoom import other_light, zoom

CHANNELS_LAST = torch.channels_last
TEXT_SCALE = 20.0
CALIBRATED_ON = 512
"""Whole photos by whose ranges a quantised run rounds."""
CHECKED_DIMS = (16, 64, 256)
"""Prefixes on which text losses are taken; the cosine is taken on all."""
PRESENCE = 1.2
"""Weight of what boxes and the detector know; the teacher knows less of household things."""


@dataclass(frozen=True)
class DistilOptions:
    """Settings of one run."""

    minutes: float = 60
    steps: int = 0
    """End after so many steps, not after the minutes: for runs that are compared."""
    quantised: bool = False
    """Meet the rounding of the int8 file while training: the last part of a run, at low rates."""
    batch: int = 128
    rate: float = 1.2e-3
    head_rate: float = 2.5e-3
    weight_decay: float = 0.02
    ema: float = 0.9985
    seed: int = 7
    fixed: bool = False
    """What the frozen blocks make of each view is computed once: views stay as they are."""
    frozen_blocks: int = 5
    """Blocks that keep the weights that they begin with (their BN statistics are set anew)."""
    zoom: bool = False
    """Rows have more pixels than the student sees: each step shows another part of them."""


@dataclass
class Words:
    """What the text losses compare with, all in the space: float32[*, 256] of length 1."""

    bank: TextBank
    bank_space: Tensor
    box_rows: dict[tuple[int, int], int]
    presence: Tensor
    things: Tensor
    vocabulary: Tensor


def make_words(
    bank: TextBank,
    box_rows: dict[tuple[int, int], int],
    presence: Any,
    things: F32,
    vocabulary: F32,
    space: Space,
) -> Words:
    """Project MiniLM embeddings [*, 384] of the bank, of things and of a vocabulary.

    `presence` int8[photos, K] says which of the K things are on a photo.
    """
    return Words(
        bank,
        torch.from_numpy(space.texts(bank.vectors)),
        box_rows,
        torch.from_numpy(presence),
        torch.from_numpy(space.texts(things)),
        torch.from_numpy(space.texts(vocabulary)),
    )


class Presence(nn.Module):
    """A scale, and a bias for each of K things, for each checked prefix; used in training only."""

    def __init__(self, things: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.full((len(CHECKED_DIMS),), 2.3))
        self.bias = nn.Parameter(torch.full((len(CHECKED_DIMS), things), -4.0))

    def forward(
        self, student: dict[int, Tensor], names: dict[int, Tensor], known: Tensor
    ) -> Tensor:
        """Binary cross-entropy over the known entries of known int8[B, K]."""
        mask, wanted = (known >= 0).float(), known.clamp(min=0).float()
        total = torch.zeros((), device=known.device)
        for at, dim in enumerate(CHECKED_DIMS):
            logits = student[dim] @ names[dim].T * self.log_scale[at].exp() + self.bias[at]
            each = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
            total = total + (each * mask).sum() / mask.sum().clamp(min=1)
        return total * 5


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is in hardware: it was as good as float32, but emulated 20 times slower."""
    return device.type != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def batch_loss(
    student: nn.Module, presence: Presence, x: Tensor, chosen: Any, rows: Rows, words: Words,
    rng: np.random.Generator, there: Any = None,
) -> dict[str, Tensor]:  # fmt: skip
    """The weighted terms of the loss for one batch; their sum is minimised.

    there bool[B]: whether all that is known of the photo is still on the view; None: on all.
    """
    device = x.device
    with torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device)):
        out = student(x)
    given = slices(out.embedding.float())
    wanted = slices(torch.from_numpy(rows.target[chosen]).float().to(device))
    things, vocabulary = slices(words.things.to(device)), slices(words.vocabulary.to(device))
    classes = torch.from_numpy(rows.classes[chosen]).float().to(device)
    terms = {
        "cosine": 3.0 * cosine_loss(given, wanted),
        "classes": 0.3
        * F.kl_div(out.classes.float().log_softmax(1), classes, reduction="batchmean"),
    }
    texts = choose_texts(rows, chosen, words.bank, words.box_rows, rng)
    has = torch.from_numpy(texts >= 0).to(device)
    at = torch.from_numpy(texts[texts >= 0])
    alike = alike_texts(torch.from_numpy(words.bank.vectors[at.numpy()])).to(device)
    said = slices(words.bank_space[at].to(device))
    for dim in CHECKED_DIMS:
        share = 1.0 if dim == max(CHECKED_DIMS) else 0.5
        terms[f"relation{dim}"] = share * relational_loss(given[dim], wanted[dim])
        terms[f"names{dim}"] = share * text_relational_loss(
            given[dim], wanted[dim], vocabulary[dim], TEXT_SCALE
        )
        terms[f"text{dim}"] = (
            0.15 * share * text_contrast(given[dim][has], said[dim], alike, TEXT_SCALE)
        )
    known = words.presence[torch.from_numpy(rows.photo[chosen])].clone()
    known[torch.from_numpy(rows.box[chosen] >= 0)] = -1
    if there is not None:
        known[torch.from_numpy(~there)] = -1
    terms["presence"] = PRESENCE * presence(given, things, known.to(device))
    return terms


class Late(nn.Module):
    """A student behind its frozen blocks: their maps [B, C, H, W] -> embedding and logits."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student

    def forward(self, maps: Tensor) -> Encoded:
        """As the student gives."""
        return self.student.late(maps)


@torch.no_grad()
def frozen_maps(student: Student, rows: Rows, device: torch.device, batch: int = 256) -> Tensor:
    """float16[N, C, H, W]: what the frozen blocks make of each row, unchanged."""
    parts = []
    for some in np.array_split(np.arange(len(rows.weight)), max(1, len(rows.weight) // batch)):
        x = shrink(to_input(rows.load(some), device), student.side)
        parts.append(student.early(x).half().contiguous())
    return torch.cat(parts)


def parameter_groups(
    student: Student, presence: Presence, options: DistilOptions
) -> list[dict[str, Any]]:
    """Head faster than backbone; no decay on BN, biases and depthwise kernels."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in student.named_parameters():
        if not parameter.requires_grad:
            continue
        plain = parameter.ndim < 2 or (parameter.ndim == 4 and parameter.shape[1] == 1)
        rate = options.head_rate if name.startswith(("head", "wide")) else options.rate
        decay = 0.0 if plain else options.weight_decay
        groups.setdefault((rate, decay), []).append(parameter)
    groups[options.head_rate, -1.0] = list(presence.parameters())
    return [
        {"params": ps, "lr": rate, "peak": rate, "weight_decay": max(decay, 0.0)}
        for (rate, decay), ps in groups.items()
    ]


class Length(Protocol):
    """How long a run is: so many steps, or where these are 0 so many minutes."""

    @property
    def minutes(self) -> float:
        """Counted from the start, interruptions left out."""
        ...

    @property
    def steps(self) -> int:
        """0: `minutes` count."""
        ...


def progress(options: Length, step: int, seconds: float) -> float:
    """Share of the run that is done."""
    return step / options.steps if options.steps else seconds / (options.minutes * 60)


def rate_factor(progress: float, warm: float = 0.02) -> float:
    """Share of the peak rate at a share of the budget: linear warm-up, then a cosine to 0."""
    if progress < warm:
        return progress / warm
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warm) / (1 - warm))))


@torch.no_grad()
def average_into(average: nn.Module, student: nn.Module, decay: float) -> None:
    """Exponential moving average of weights and BN statistics."""
    for mean, value in zip(
        average.state_dict().values(), student.state_dict().values(), strict=True
    ):
        if mean.dtype.is_floating_point:
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


@torch.no_grad()
def embed(student: Student, pixels: Any, device: torch.device, batch: int = 256) -> F32:
    """Raw embeddings float32[B, 256] of uint8[B, 96, 96, 3], in evaluation mode."""
    was_training = student.training
    student.eval()
    parts = [
        student(to_input(np.ascontiguousarray(pixels[at : at + batch]), device)).embedding.cpu()
        for at in range(0, len(pixels), batch)
    ]
    student.train(was_training)
    return torch.cat(parts).float().numpy()


@torch.no_grad()
def refresh_statistics(
    student: Student, rows: Rows, device: torch.device, count: int = 6144, maps: Any = None
) -> None:
    """Set BN statistics of (averaged) weights from drawn training rows.

    From `count` of them, or as many as there are; from `maps` of the rows instead of pictures
    where the frozen blocks are all.
    """
    count = max(1, min(count, len(rows.weight)) // 256) * 256
    rng = np.random.default_rng(0)
    student.train()
    # A frozen layer stays as it is: later layers were taught on what it gives.
    layers = [m for m in student.modules() if isinstance(m, nn.BatchNorm2d) and m.training]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    probability = rows.weight / rows.weight.sum()
    for some in rng.choice(len(probability), count, p=probability).reshape(-1, 256):
        if maps is None:
            student(to_input(rows.load(some), device).contiguous(memory_format=CHANNELS_LAST))
        else:
            student.late(maps[torch.from_numpy(some)].float())
    for layer in layers:
        layer.momentum = 0.1
    student.eval()


def save_checkpoint(path: Path, **state: Any) -> None:
    """Write all or nothing: neither a cut nor a full disk costs the checkpoint that is there."""
    write_whole(path, lambda file: torch.save(state, file))


def distil(
    student: Student,
    rows: Rows,
    words: Words,
    options: DistilOptions,
    folder: Path,
    device: torch.device,
    check: Any = None,
    every_s: float = 240,
    maps: Any = None,
    team: Team | None = None,
) -> Student:
    """Train until the time budget is spent; returns the averaged student with fresh BN statistics.

    `check(student) -> dict[str, float]` is run about every `every_s` seconds and logged. `maps`
    of rows are [B, C, H, W], what stands before the part that is trained, where another than the
    student made them; `options` says `fixed`, then. Of a `team` each process takes `options.batch`
    pictures a step, at rates that grow with the root of their number; its leader writes.
    """
    from torch.utils.tensorboard import SummaryWriter
    from tqdm import tqdm

    team = team or Team()
    torch.manual_seed(options.seed)
    path, spent, step = folder / "checkpoint.pt", 0.0, 0
    student = student.to(device, memory_format=CHANNELS_LAST)  # type: ignore[call-overload]
    if maps is not None:
        student.freeze(options.frozen_blocks)
    if not (path.exists() or options.quantised):
        refresh_statistics(student, rows, device, 2048, maps)
    student.freeze(options.frozen_blocks)
    student.train()
    team.share_weights(student)
    average = copy.deepcopy(student)
    presence = Presence(len(words.things)).to(device)
    optimiser = torch.optim.AdamW(parameter_groups(student, presence, options))
    if path.exists():
        stored = torch.load(path, map_location=device, weights_only=True)
        student.load_state_dict(stored["student"])
        average.load_state_dict(stored["average"])
        presence.load_state_dict(stored["presence"])
        optimiser.load_state_dict(stored["optimiser"])
        spent, step = stored["spent"], stored["step"]
        print(f"distil: resumed at step {step}, {spent:.0f} s", flush=True)
    taught: nn.Module = student
    if options.quantised:
        from .quantised import AsInt8

        taught = AsInt8(student, rows.load(np.flatnonzero(rows.whole)[:CALIBRATED_ON]))
    of_file = maps
    if options.fixed:
        taught = Late(student)
        maps = frozen_maps(student, rows, device) if of_file is None else of_file
    seed = options.seed + step + 1_000_003 * team.rank
    rng = np.random.default_rng(seed)
    source = batches(rows, options.batch, seed, pixels=maps is None)
    writer = SummaryWriter(str(folder / "tensorboard")) if team.leads else None
    bar = tqdm(total=100, unit="%", mininterval=20, disable=not team.leads)
    trained = [p for group in optimiser.param_groups for p in group["params"]]
    started, last_check = time.monotonic() - spent, spent
    while (
        done := progress(options, step, now := team.leader_says(time.monotonic() - started))
    ) < 1:
        factor = rate_factor(done) * math.sqrt(team.size)
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * factor
        chosen, pixels = next(source)
        there = None
        if maps is None:
            x = to_input(pixels, device)
            if options.zoom:
                x, there = zoom(x, rng, student.side)
                x = other_light(x, rng)
            x = jitter(x, rng)
        else:
            x = maps[torch.from_numpy(chosen)].float().contiguous(memory_format=CHANNELS_LAST)
        terms = batch_loss(taught, presence, x, chosen, rows, words, rng, there)
        loss = torch.stack(list(terms.values())).sum()
        if not torch.isfinite(loss):
            raise FloatingPointError(f"loss is {loss.item()} at step {step}: {terms}")
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        team.mean_gradients(trained)
        nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimiser.step()
        # A young average must not remember the untrained head.
        average_into(average, student, min(options.ema, (step + 1) / (step + 20)))
        step += 1
        bar.update(int(100 * done) - bar.n)
        if writer and step % 50 == 0:
            writer.add_scalar("loss", loss.item(), step)
            for name, term in terms.items():
                writer.add_scalar(f"loss/{name}", term.item(), step)
        if writer and now - last_check > every_s:
            last_check = now
            note = check(average) if check else {}
            for name, value in note.items():
                writer.add_scalar(f"validation/{name}", value, step)
            shown = " ".join(f"{n} {v:.3f}" for n, v in note.items())
            shown_terms = " ".join(f"{n} {t.item():.2f}" for n, t in terms.items())
            print(f"distil: {now:.0f} s step {step} {shown} | {shown_terms}", flush=True)
            save_checkpoint(
                path, student=student.state_dict(), average=average.state_dict(),
                presence=presence.state_dict(), optimiser=optimiser.state_dict(),
                spent=now, step=step,
            )  # fmt: skip
    if writer is None:
        return average
    if not options.quantised:
        refresh_statistics(average, rows, device, maps=of_file)
    save_checkpoint(folder / "student.pt", average=average.state_dict())
    note = check(average) if check else {}
    print(f"distil: done, {step} steps: " + " ".join(f"{n} {v:.3f}" for n, v in note.items()))
    writer.close()
    return average


def mean_weights(paths: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of the averaged weights of several checkpoints of one structure."""
    states = [torch.load(path, map_location="cpu", weights_only=True)["average"] for path in paths]
    return {
        name: torch.stack([state[name] for state in states]).float().mean(0).to(first.dtype)
        for name, first in states[0].items()
    }


def load_student(student: Student, path: Path) -> Student:
    """Load averaged weights from `student.pt` or `checkpoint.pt`."""
    student.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["average"])
    return student.eval()

"""Command line of the captioner's training: `python -m moteye_training.captions all`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from ..data import data_root, models_root

if TYPE_CHECKING:
    from .stages import Work

REPO = Path(__file__).resolve().parents[3]
STEPS = ("pseudo", "words", "reward", "export")
MEASURES = ("rivals", "curve", "compare")


def shared_options(p: argparse.ArgumentParser, out: str) -> None:
    """What both command lines of captions take; `out` is where they work."""
    p.add_argument("--out", type=Path, default=Path(out), help="working folder")
    p.add_argument("--data", help="shards; default MOTEYE_DATA or ../shared/data")
    p.add_argument("--models", help="third-party models; default MOTEYE_MODELS or ../shared/models")
    p.add_argument("--repo", type=Path, default=REPO, help="where delivered files are and go")
    p.add_argument("--steps", type=int, default=1600, help="batches of words given")
    p.add_argument("--reward-steps", type=int, default=500, help="batches with CIDEr-D as reward")
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--share", type=float, default=1.0, help="of the captioned photos")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--seeds", type=int, default=3, help="runs of each thing that is compared")
    p.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    p.add_argument("--threads", type=int, default=1)


def parser() -> argparse.ArgumentParser:
    """All options; the steps share them."""
    p = argparse.ArgumentParser(prog="moteye_training.captions", description=__doc__)
    p.add_argument("step", choices=("all", *STEPS, "background", "relink", *MEASURES, "evaluate"))
    shared_options(p, "build/captions")
    p.add_argument("--bench", type=Path, default=Path("build/bench/captioner.json"))
    p.add_argument("--pretrain-steps", type=int, default=600)
    p.add_argument("--was", type=Path, help="relink: encoder.tflite that captions.cpk was made for")
    return p


def main(arguments: list[str] | None = None) -> None:
    """Run the steps asked for."""
    options = parser()
    a = options.parse_args(arguments)
    if a.step == "relink":
        if a.was is None:
            options.error("relink needs --was FILE, the encoder.tflite of before")
        from .relink import relink

        relink(data_root(a.data), a.repo, a.was)
        return
    if a.step == "evaluate":
        from .evaluate import write_rows

        write_rows(data_root(a.data), models_root(a.models), a.out, a.repo, a.bench)
        return
    if a.step == "background":
        from .background import write_background

        write_background(data_root(a.data), a.out, a.repo)
        return
    import torch

    from . import stages

    torch.set_num_threads(a.threads)
    plan = stages.Plan(
        pretrain_steps=a.pretrain_steps, steps=a.steps, reward_steps=a.reward_steps,
        batch=a.batch, share=a.share, seed=a.seed, device=a.device,
    )  # fmt: skip
    work = stages.Work(data_root(a.data), models_root(a.models), a.out, a.repo, plan)
    if a.step in MEASURES:
        measure(a.step, work, a.seeds)
        return
    for step in STEPS if a.step == "all" else (a.step,):
        print(f"== {step}", flush=True)
        getattr(stages, step)(work)
    if a.step == "all":
        from .background import write_background

        print("== background", flush=True)
        write_background(work.data, work.out, work.repo)


def measure(step: str, work: Work, seeds: int) -> None:
    """Figures that need PyTorch; each writes a file of `training/captions`."""
    from . import unquantised, versus

    if step == "compare":
        unquantised.compare(work)
    elif step == "curve":
        versus.curve(work)
    else:
        versus.versus(work, seeds)

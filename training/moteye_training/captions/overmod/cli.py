"""Command line of the captioner with its own encoder; see training/README.md."""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from ...data import data_root, models_root
from ..cli import shared_options
from .sizes import DECODER_WIDTH, ENCODERS, STATES

STEPS = ("classes", "words", "together", "reward")


def parser() -> argparse.ArgumentParser:
    """All options; the steps share them."""
    p = argparse.ArgumentParser(prog="moteye_training.captions.overmod", description=__doc__)
    p.add_argument("step", choices=("all", *STEPS, "compare", "ablation", "operators"))
    shared_options(p, "build/overmod")
    p.add_argument("--size", choices=tuple(ENCODERS), default="nano")
    p.add_argument("--source", action="append", default=[], help="NAME=FOLDER: imagenet1k, coco, …")
    p.add_argument("--class-steps", type=int, default=4000)
    p.add_argument("--together-steps", type=int, default=1000)
    p.add_argument("--save-every", type=int, default=200)
    p.add_argument("--minutes", type=float, default=0, help="of a step at most; 0: no limit")
    p.add_argument("--board", default="stm32n6", help="whose accelerator `operators` asks for")
    return p


def main(arguments: list[str] | None = None) -> None:
    """Run the steps asked for."""
    a = parser().parse_args(arguments)
    if a.step == "operators":
        from .operators import show

        show(a.size, a.board)
        return
    import torch

    from ..stages import Plan
    from . import steps
    from .work import OwnWork

    torch.set_num_threads(a.threads)
    plan = Plan(
        width=DECODER_WIDTH[a.size], states=STATES[a.size], steps=a.steps,
        reward_steps=a.reward_steps, class_steps=a.class_steps, together_steps=a.together_steps,
        save_every=a.save_every, batch=a.batch, share=a.share, seed=a.seed, device=a.device,
    )  # fmt: skip
    work = OwnWork(
        data_root(a.data), models_root(a.models), a.out, a.repo, plan, a.size, tuple(a.source),
        a.minutes,
    )  # fmt: skip
    if a.step in ("compare", "ablation"):
        from . import compare

        compare.compare(work) if a.step == "compare" else compare.ablation(work, a.seeds)
        return
    for step in STEPS if a.step == "all" else (a.step,):
        print(f"== {step}", flush=True)
        getattr(steps, step)(work)

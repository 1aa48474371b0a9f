"""Command line: `python -m moteye_training all --out build/train`.

Steps, each also alone and each resumable: teach, distil, export, boxes, evaluate. `--smoke` runs
them on a small part of the data into `OUT/smoke`, in minutes, and touches no delivered file;
`--miniature` does so where there are neither photos nor models (see `miniature`).
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

# Threads that wait by spinning starve each other on a machine that does other work as well
# (measured: 5 times slower); must be set before PyTorch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from . import pipeline
from .data import data_root, has_photos, models_root
from .operating import POINTS, SHIPPED
from .run import Paths, Plan, Run
from .teachers import DEFAULT, choose_teacher

REPO = Path(__file__).resolve().parents[2]
STEPS = (
    "teach", "distil", "blend", "export", "refine", "background", "boxes", "evaluate", "check",
    "evaluate-text", "evaluate-float", "points",
)  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """All options; the steps share them."""
    p = argparse.ArgumentParser(prog="moteye_training", description=__doc__)
    p.add_argument("step", choices=("all", *STEPS))
    p.add_argument("--out", type=Path, default=Path("build/train"), help="working folder")
    p.add_argument("--data", help="shards; default MOTEYE_DATA or ../shared/data")
    p.add_argument("--models", help="third-party models; default MOTEYE_MODELS or ../shared/models")
    p.add_argument("--repo", type=Path, default=REPO, help="where delivered files go")
    p.add_argument("--bench", type=Path, default=Path("build/bench/encoder.json"))
    p.add_argument(
        "--teacher", default=DEFAULT,
        help="composed, or open_clip:MODEL,WEIGHTS of the library open_clip",
    )  # fmt: skip
    p.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    p.add_argument("--workers", type=int, default=2, help="processes for LiteRT")
    p.add_argument("--views", type=int, default=4, help="views a photo, the whole one included")
    p.add_argument("--align-epochs", type=float, default=18)
    p.add_argument("--minutes", type=float, default=60, help="time for the student's training")
    p.add_argument("--dense-minutes", type=float, default=10, help="time for the dense head's")
    p.add_argument("--refine-steps", type=int, default=3000, help="of what is behind the blocks")
    p.add_argument(
        "--embedding-only", action="store_true",
        help="refine the embedding layer alone, which neither cells nor captions read",
    )  # fmt: skip
    p.add_argument("--dense-steps", type=int, default=0, help="so many, not --dense-minutes")
    p.add_argument("--model", default="accurate", help=f"operating point: {', '.join(POINTS)}")
    p.add_argument(
        "--init", default="",
        help="begin with a student.pt, an encoder.tflite, or `scratch`; default ImageNet's weights",
    )  # fmt: skip
    p.add_argument("--steps", type=int, default=0, help="distil so many steps, not --minutes")
    p.add_argument("--frozen", type=int, default=-1, help="blocks that keep their first weights")
    p.add_argument(
        "--fixed-views", action="store_true",
        help="compute what the frozen blocks make of each view once: fast steps, no jitter",
    )  # fmt: skip
    p.add_argument("--side", type=int, default=0, help="pixels of the student, not its point's")
    p.add_argument(
        "--zoom", type=int, default=0, metavar="PIXELS",
        help="distil from views of so many pixels a side, each step another part of them (128)",
    )  # fmt: skip
    p.add_argument(
        "--quantisation-aware", action="store_true",
        help="distil through the rounding of the int8 file, from the weights of --init",
    )  # fmt: skip
    p.add_argument("--no-crops", action="store_true", help="no crops of boxes as further views")
    p.add_argument("--no-detector", action="store_true", help="presence from boxes alone")
    p.add_argument("--share", type=float, default=1.0, help="train on so much of the photos")
    p.add_argument(
        "--source", action="append", default=[], metavar="NAME=FOLDER",
        help="further photos: cc3m, coco, flowers102 or food101; may be repeated",
    )  # fmt: skip
    p.add_argument(
        "--checkpoint", type=Path, action="append", default=[],
        help="instead of OUT/student.pt; of `blend` the students whose weights are averaged",
    )  # fmt: skip
    p.add_argument("--no-teacher", action="store_true", help="evaluate the student alone")
    p.add_argument(
        "--card", action="store_true", help="after evaluate, write CARD.md, metrics.json"
    )
    p.add_argument("--smoke", action="store_true", help="a small part of everything")
    p.add_argument(
        "--miniature", action="store_true",
        help="--smoke on photos of scikit-image and scikit-learn, towards a tiny random teacher",
    )  # fmt: skip
    return p


def make_run(a: argparse.Namespace) -> Run:
    """The run that the arguments ask for; of a smoke run everything is below `OUT/smoke`."""
    plan = Plan(
        a.views, a.align_epochs, a.minutes, a.dense_minutes, a.workers, init=a.init,
        crops=not a.no_crops, detector=not a.no_detector, share=a.share, sources=tuple(a.source),
        steps=a.steps, refine_steps=a.refine_steps, keep_wide=a.embedding_only,
        dense_steps=a.dense_steps, frozen=a.frozen,
        fixed=a.fixed_views, quantised=a.quantisation_aware, zoom=a.zoom, side=a.side,
    )  # fmt: skip
    paths = Paths(
        data_root(a.data), models_root(a.models), a.out, a.repo, a.bench, a.model, a.teacher
    )
    if a.smoke and not a.data and not has_photos(paths.data):
        print(f"no photos in {paths.data.resolve()}: --miniature")
        a.miniature = True
    if not (a.smoke or a.miniature):
        return Run(paths, plan, a.device)
    out = a.out / "smoke"
    paths = replace(paths, out=out, repo=out / "repo", bench=out / "encoder.json")
    plan = plan.smaller()
    if a.miniature:
        from . import miniature

        data = miniature.write_data(out / "photos")
        encoder = REPO / "device" / "models" / a.model / "encoder.tflite"
        models = miniature.write_models(out / "models", encoder)
        teacher = miniature.write_teacher(out / "teacher") if a.teacher == DEFAULT else a.teacher
        paths = replace(paths, data=data, models=models, teacher=teacher)
        plan = replace(plan.miniature(encoder), sources=(*plan.sources, f"cc3m={data / 'cc3m'}"))
    run = Run(paths, plan, a.device)
    pipeline.copy_for_smoke(run)
    return run


def main(arguments: list[str] | None = None) -> None:
    """Run the steps asked for."""
    p = parser()
    a = p.parse_args(arguments)
    try:
        choose_teacher(a.teacher, models_root(a.models))
    except ValueError as error:
        p.error(str(error))
    run = make_run(a)
    steps: tuple[str, ...] = (a.step,)
    if a.step == "all":
        steps = ("teach", "distil", "export", "boxes", "evaluate")
        if run.plan.smoke:
            # What ships does without `refine`; a rehearsal takes each step that trains.
            steps = ("teach", "distil", "export", "refine", "boxes", "evaluate", "check")
    for step in steps:
        print(f"== {step}", flush=True)
        take(step, run, a)


def take(step: str, run: Run, a: argparse.Namespace) -> None:
    """One step."""
    checkpoint = a.checkpoint[0] if a.checkpoint else None
    if step == "teach":
        pipeline.teach(run)
    elif step == "distil":
        pipeline.distil_student(run)
    elif step == "blend":
        pipeline.blend(run, a.checkpoint)
    elif step == "export":
        pipeline.export(run, checkpoint)
    elif step == "refine":
        pipeline.refine_head(run)
    elif step == "background":
        pipeline.background(run)
    elif step == "boxes":
        pipeline.boxes(run)
    elif step == "evaluate":
        # With thousands of photos the teacher takes longer than all other steps of a smoke run.
        with_teacher = a.miniature or not (a.no_teacher or a.smoke)
        evaluate_step(run.paths, run.plan, with_teacher, a.card or a.miniature)
    elif step == "check":
        from .check import check

        check(run.paths, run.photos)
    elif step == "points":
        from .points import points

        points(run.paths, SHIPPED)
    else:
        from . import evaluate_torch

        if step == "evaluate-text":
            evaluate_torch.text_agreement(run)
        else:
            evaluate_torch.float_loss(run, checkpoint)


def evaluate_step(paths: Paths, plan: Plan, with_teacher: bool, card: bool) -> None:
    """Print and write the figures of the committed files."""
    from .evaluate import evaluate

    evaluate(paths, plan.workers, with_teacher, reference=not plan.smoke)
    if card:
        from .card import write_card
        from .plots import draw

        template = Path(__file__).parent / f"card_{paths.model}.md"
        write_card(paths, template)
        draw(paths.pack / "metrics.json", paths.pack, paths.model)

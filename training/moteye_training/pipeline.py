"""The steps from photos to shipped files; each resumes or skips what is already done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from .cache import write_whole
from .encoder import Encoder
from .lessons import (
    first_student,
    frozen_blocks,
    hold_out_check,
    shown,
    training_rows,
    training_words,
)
from .run import Run
from .space import EMBEDDING, fit_space, save_space
from .text import WORDS
from .truth import training_mask


def teach(run: Run) -> None:
    """Text tower, towers' features, alignment head, space."""
    paths = run.paths
    if not (paths.words / "text.tflite").exists():
        from .minilm import export_text

        export_text(paths.words)
    if not paths.alignment.exists():
        from .align import AlignOptions, train_head
        from .rows import box_text_rows

        weights = train_head(
            run.photos,
            [(group, cache.features) for group, cache in run.caches],
            run.bank,
            box_text_rows(run.photos, run.bank),
            run.presence,
            run.text_cache,
            paths.taught_by,
            AlignOptions(epochs=run.plan.align_epochs, batch=128 if run.plan.smoke else 512),
            run.device,
        )
        write_whole(paths.alignment, lambda file: np.savez_compressed(file, **weights))  # type: ignore[arg-type]
    projection = paths.words / "projection.npz"
    if not projection.exists():
        train = np.flatnonzero(training_mask(run.photos))
        texts = [run.bank.vectors[run.bank.of_photo[i]].mean(0) for i in train
                 if len(run.bank.of_photo[i])]  # fmt: skip
        save_space(projection, fit_space(run.targets[train], np.stack(texts)))
    held = run.space.pictures(run.targets[run.validation.photos])
    for dim in (16, 64, 256):
        print(f"teacher on the hold-out, d{dim}: {shown(run.validation.measures(held, dim))}")


def distil_student(run: Run) -> None:
    """Train the student; `student.pt` in the run's folder."""
    from .distil import DistilOptions, distil
    from .team import join_team

    if (run.paths.out / "student.pt").exists():
        print("distil: student.pt is there, nothing to do")
        return
    team = join_team()
    with team.first_leader():
        rows, words, student = training_rows(run), training_words(run), first_student(run)
    options = DistilOptions(
        minutes=run.plan.minutes, steps=run.plan.steps, quantised=run.plan.quantised,
        fixed=run.plan.fixed, frozen_blocks=frozen_blocks(run.plan, run.point),
        zoom=bool(run.plan.zoom),
    )  # fmt: skip
    if options.quantised:
        options = replace(options, rate=options.rate / 8, head_rate=options.head_rate / 8)
    distil(student, rows, words, options, run.paths.out, run.device, hold_out_check(run),
           every_s=min(240.0, run.plan.minutes * 60 / 6), team=team)  # fmt: skip


def blend(run: Run, checkpoints: Sequence[Path]) -> None:
    """The mean of students' weights, as `student.pt` in the run's folder; they began alike.

    BN statistics are set anew. Raises ValueError for fewer than two.
    """
    from .distil import mean_weights, refresh_statistics, save_checkpoint
    from .student import make_student

    if len(checkpoints) < 2:
        raise ValueError("blend: say --checkpoint twice or more, each a student.pt")
    student = make_student(run.paths.models, run.point, pretrained=False)
    student.load_state_dict(mean_weights(checkpoints))
    student.freeze(frozen_blocks(run.plan, run.point))
    refresh_statistics(student.to(run.device), training_rows(run), run.device, 2048)
    print(f"blend: {shown(hold_out_check(run)(student))}")
    save_checkpoint(run.paths.out / "student.pt", average=student.state_dict())


def export(run: Run, checkpoint: Path | None = None) -> None:
    """int8 encoder, then bank and calibration with it."""
    from .distil import load_student
    from .export import compare, export_encoder
    from .student import make_student

    student = make_student(run.paths.models, run.point, pretrained=False)
    load_student(student, checkpoint or run.paths.out / "student.pt")
    pixels, held = run.caches[0][1].pixels, run.validation.photos
    train = np.flatnonzero(training_mask(run.photos))
    step = max(1, len(train) // run.plan.calibration_photos)
    export_encoder(student, np.array(pixels[train[::step]]), run.paths.encoder)
    cosine = compare(student, run.paths.encoder, np.array(pixels[held[:256]]))
    size = run.paths.encoder.stat().st_size
    print(f"export: {size} bytes; cosine to float on 256 hold-out photos {cosine[0]:.4f}, "
          f"least {cosine[1]:.4f}")  # fmt: skip
    background(run)


def refine_head(run: Run) -> None:
    """The layers behind the last block, trained on the file's own int8 maps; bank, calibration.

    The cells go with the old head: `boxes` puts them back. Captions read the first of these layers.
    Of the embedding layer alone neither holds.
    """
    from .refine import refine

    refine(run)
    background(run)


def boxes(run: Run) -> None:
    """The dense head behind the encoder's graph; bank and calibration stay what they were."""
    from .dense_steps import add_cells

    add_cells(run)


def background(run: Run) -> None:
    """`bank.npz` and `calibration.json` for the present encoder, its cells included."""
    from .calibrate import build_background, known_content

    result = build_background(
        run.photos,
        known_content(run),
        run.paths.encoder,
        run.space,
        run.text_cache,
        run.paths.space,
        run.plan.workers,
        reference=not run.plan.smoke,
    )
    print(f"background: {json.dumps(result['dims'])} {json.dumps(result['exclusion'])}")
    if Encoder(run.paths.encoder).width > EMBEDDING:
        from .dense_steps import choose_for_cells

        choose_for_cells(run)


def copy_for_smoke(run: Run) -> None:
    """A smoke run must not export the text tower anew when one is shipped: take that."""
    shipped, own = Path(__file__).parents[2] / WORDS, run.paths.words
    own.mkdir(parents=True, exist_ok=True)
    for name in ("text.tflite", "tokenizer.json"):
        if (shipped / name).exists() and not (own / name).exists():
            shutil.copyfile(shipped / name, own / name)

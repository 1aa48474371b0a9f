"""What a student is taught, from what it begins, and what is measured of it on the hold-out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .data import Photo, key_bucket
from .general import GENERAL_NAMES, general_presence, general_subjects
from .operating import Point
from .run import SCRATCH, Plan, Run
from .text import F32, normalise
from .towers import STUDENT_SIDE
from .truth import COCO_NAMES, training_mask

if TYPE_CHECKING:
    from .distil import Words
    from .rows import Rows
    from .student import Student

THINGS = (*COCO_NAMES, *GENERAL_NAMES)
"""Names of which it is known whether they are on a photo."""


def known_things(run: Run) -> NDArray[np.int8]:
    """int8[N, len(THINGS)]: 1 on the photo, 0 not, -1 not known."""
    return np.concatenate([run.presence, general_presence(run.photos)], 1)


def vocabulary(run: Run) -> F32:
    """Names over which the student imitates the teacher's choice, float32[K, 384]."""
    from .imagenet import class_vectors

    parts = [
        class_vectors(run.paths.models, run.text_cache),
        run.text_cache.get(COCO_NAMES, prompted=True),
        run.text_cache.get(run.paths.tags[::4], prompted=True),
    ]
    return np.concatenate(parts)


def frozen_blocks(plan: Plan, point: Point) -> int:
    """Blocks that are not trained; of random weights none is worth keeping."""
    if plan.frozen >= 0:
        return plan.frozen
    return 0 if plan.init == SCRATCH or not point.pretrained else point.frozen


def share_mask(photos: Sequence[Photo], share: float) -> NDArray[np.bool_]:
    """bool[N]: so much of the photos, the same ones for the same share; more takes those in."""
    of = 1000
    return np.array([key_bucket(f"share {p.key}", of) < of * share for p in photos], np.bool_)


def first_student(run: Run, file: Path | None = None) -> Student:
    """The student with the weights that it begins with; those of an exported `file`."""
    from .distil import load_student
    from .inherit import inherit
    from .student import make_student

    init, point = str(file or run.plan.init), run.point
    student = make_student(run.paths.models, point, pretrained=not init)
    if init.endswith(".tflite"):
        train = np.flatnonzero(training_mask(run.photos))
        pixels = np.array(run.caches[0][1].pixels[train[:: max(1, len(train) // 1024)]])
        inherit(student, Path(init), point.without, pixels)
    elif init and init != SCRATCH:
        load_student(student, Path(init))
    return student


def training_rows(run: Run) -> Rows:
    """Views and targets that the student is trained on."""
    from .pseudo import prominent
    from .rows import gather, raise_to_floor
    from .teacher import TeacherHead

    head = TeacherHead(run.paths.alignment, run.paths.taught_by.layout)
    keep = training_mask(run.photos) & share_mask(run.photos, run.plan.share)
    rows = gather(run.photos, run.caches, head, run.space, keep)
    if run.plan.zoom:
        rows.pixels = larger(run)
    surely = [prominent(run.photos, *run.detected[:2]), general_subjects(run.photos)]
    names = run.space.texts(run.text_cache.get(THINGS, prompted=True))
    raise_to_floor(rows, np.concatenate(surely, 1), names)
    return rows


def larger(run: Run) -> list[NDArray[np.uint8]]:
    """Each group's views at the plan's number of pixels."""
    from .zoom import larger_pixels

    return [
        larger_pixels(run.paths.views, group, run.photos, run.plan.zoom, run.plan.workers)
        for group, _ in run.caches
    ]


def training_words(run: Run) -> Words:
    """What the student's text losses compare with."""
    from .distil import make_words
    from .rows import box_text_rows

    return make_words(
        run.bank,
        box_text_rows(run.photos, run.bank),
        known_things(run),
        run.text_cache.get(THINGS, prompted=True),
        vocabulary(run),
        run.space,
    )


def hold_out_check(
    run: Run, embedded: Callable[[Student], F32] | None = None
) -> Callable[[Student], dict[str, float]]:
    """What is measured of a student on the hold-out; `embedded` gives its embeddings there."""
    from .distil import embed

    held = run.validation.photos
    cached = run.caches[0][1].pixels if run.point.side <= STUDENT_SIDE else larger(run)[0]
    wanted = run.space.pictures(run.targets[held])
    if embedded is None:
        embedded = partial(embed, pixels=np.array(cached[held]), device=run.device)

    def check(student: Student) -> dict[str, float]:
        given = embedded(student)
        short = run.validation.measures(given, 64)
        return {
            "cos": float((normalise(given) * wanted)[: len(run.validation.known)].sum(1).mean()),
            **run.validation.measures(given),
            "new64": short["new"],
            "household64": short["household"],
        }

    return check


def shown(measures: dict[str, float]) -> str:
    """Names and figures on one line."""
    return " ".join(f"{name} {value:.3f}" for name, value in measures.items())

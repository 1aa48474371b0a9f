"""The steps from photos to shipped files; each resumes or skips what is already done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .cache import write_whole
from .data import Photo, key_bucket, training_photos
from .operating import POINTS, Point
from .pseudo import add_detected, detect, detected_rows
from .sources import read_sources
from .space import Space, fit_space, load_space, save_space
from .teachers import DEFAULT, Teacher, choose_teacher
from .text import F32, WORDS, TextCache, TextTower, normalise
from .towers import Cache, Group, fill_caches, open_cache, view_groups
from .truth import (
    COCO_NAMES,
    TextBank,
    build_text_bank,
    presence_matrix,
    training_mask,
)

if TYPE_CHECKING:
    import torch

    from .distil import Words
    from .rows import Rows
    from .student import Student
    from .validate import Validation


SMOKE_SHARE = 60
MINIATURE_STEPS = 8
SCRATCH = "scratch"
"""The `init` of a student with random weights."""


@dataclass(frozen=True)
class Paths:
    """Inputs, working files and the places of the delivered files."""

    data: Path
    models: Path
    out: Path
    repo: Path
    bench: Path
    model: str = "accurate"
    """The operating point: which of `operating.POINTS`."""
    teacher: str = DEFAULT
    """The teacher's name, see `teachers`."""

    @property
    def taught_by(self) -> Teacher:
        """The teacher."""
        return choose_teacher(self.teacher, self.models)

    @property
    def views(self) -> Path:
        """Folder of what the teacher sees in each view, and of the views' pixels."""
        teacher = self.taught_by
        return self.out / ("cache" if teacher.is_composed else f"cache-{teacher.slug}")

    @property
    def words(self) -> Path:
        """Folder of text tower and projection, which all encoders share."""
        return self.repo / WORDS

    @property
    def space(self) -> Path:
        """Folder of bank and calibration."""
        return self.repo / "host_agent" / "moteye" / "space" / self.model

    @property
    def pack(self) -> Path:
        """Folder of the encoder and its card."""
        return self.repo / "device" / "models" / self.model

    @property
    def encoder(self) -> Path:
        """The shipped encoder."""
        return self.pack / "encoder.tflite"

    @property
    def tags(self) -> list[str]:
        """Everyday words."""
        return (self.models / "teacher" / "ram_tag_list.txt").read_text().splitlines()

    @property
    def alignment(self) -> Path:
        """The teacher's head; one that does not ship stays in the working folder."""
        if not self.taught_by.is_composed:
            return self.out / f"alignment-{self.taught_by.slug}.npz"
        return self.repo / "training" / "teacher" / "alignment.npz"


@dataclass(frozen=True)
class Plan:
    """Sizes of a run. `smoke` takes a small part of everything, to see that it all works."""

    views: int = 4
    align_epochs: float = 18
    minutes: float = 60
    dense_minutes: float = 10
    workers: int = 2
    calibration_photos: int = 512
    smoke: bool = False
    every: int = 1
    """Take one of so many photos."""
    init: str = ""
    """Weights that the student begins with: SCRATCH, a `.pt` or `.tflite` file, else ImageNet's."""
    crops: bool = True
    """Whether crops of boxes are views, too."""
    detector: bool = True
    """Whether a detector is asked about photos without boxes."""
    share: float = 1.0
    """How much of the photos is trained on, for learning curves; the hold-out stays."""
    steps: int = 0
    """Train the student so many steps, not `minutes` long: for runs that are compared."""
    refine_steps: int = 3000
    """Steps of the layers behind the last map on the int8 file's maps."""
    dense_steps: int = 0
    """Train the dense head so many steps, not `dense_minutes` long."""
    frozen: int = -1
    """So many blocks keep the weights that they begin with; -1: as many as the point says."""
    fixed: bool = False
    """Compute what the frozen blocks make of each view once."""
    quantised: bool = False
    """Train the student through the rounding of the int8 file."""
    sources: tuple[str, ...] = ()
    """Further photos, each NAME=FOLDER (see `sources`)."""

    def smaller(self) -> Plan:
        """The same steps in a minute or two."""
        return replace(
            self, views=2, align_epochs=4, minutes=0.2, dense_minutes=0.1, calibration_photos=64,
            smoke=True, every=SMOKE_SHARE,
        )  # fmt: skip

    def miniature(self, encoder: Path) -> Plan:
        """The same steps on the few small photos of `miniature`, on from a shipped encoder."""
        return replace(
            self.smaller(), every=1, init=str(encoder), steps=MINIATURE_STEPS, detector=False,
            workers=1,
        )  # fmt: skip


class Run:
    """What the steps share, loaded when first asked for."""

    def __init__(self, paths: Paths, plan: Plan, device: str) -> None:
        self.paths, self.plan, self.device_name = paths, plan, device

    @cached_property
    def device(self) -> torch.device:
        """`auto` is CUDA where there is one."""
        import torch

        name = self.device_name
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device(name)

    @property
    def point(self) -> Point:
        """The operating point that is made. Raises ValueError for an unknown one."""
        if self.paths.model not in POINTS:
            raise ValueError(f"no model {self.paths.model!r}; there are: {', '.join(POINTS)}")
        return POINTS[self.paths.model]

    @cached_property
    def photos(self) -> list[Photo]:
        """Training photos, those of further sources last; in a smoke run a part of them."""
        shipped = training_photos(self.paths.data)
        more = read_sources(self.plan.sources, self.paths.data, self.paths.out / "sources")
        return (shipped + more)[:: self.plan.every]

    @cached_property
    def text_cache(self) -> TextCache:
        """The shipped text tower with a cache of what it has embedded."""
        return TextCache(TextTower(self.paths.words), self.paths.out / "texts.npz")

    @cached_property
    def bank(self) -> TextBank:
        """Texts of all photos."""
        return build_text_bank(self.photos, self.text_cache)

    @cached_property
    def caches(self) -> list[tuple[Group, Cache]]:
        """The views' caches, filled."""
        groups = view_groups(self.photos, self.plan.views, self.plan.crops)
        teacher, folder = self.paths.taught_by, self.paths.views
        fill_caches(folder, groups, self.photos, teacher, self.plan.workers)
        return [(group, open_cache(folder, group, teacher.layout.row)) for group in groups]

    @cached_property
    def presence(self) -> NDArray[np.int8]:
        """What is known of the COCO names, int8[N, 80]: boxes, else the detector's word."""
        rows, scores, _ = self.detected
        return add_detected(presence_matrix(self.photos), rows, scores)

    @cached_property
    def detected(self) -> tuple[list[int], F32, F32]:
        """Photos that the detector looked at, its scores [N, 80], its boxes [N, BOXES, 6]."""
        if not self.plan.detector:
            return [], np.zeros((0, len(COCO_NAMES)), np.float32), np.zeros((0, 0, 6), np.float32)
        rows = detected_rows(self.photos, presence_matrix(self.photos))
        photos, folder = [self.photos[row] for row in rows], self.paths.out / "detected"
        found = detect(folder, photos, self.paths.models, self.plan.workers)
        return rows, np.float32(found.scores), np.float32(found.boxes)

    @cached_property
    def targets(self) -> F32:
        """Teacher's embeddings of all whole photos, float32[N, 384]."""
        from .teacher import TeacherHead

        head = TeacherHead(self.paths.alignment, self.paths.taught_by.layout)
        rows = self.caches[0][1].features
        parts = np.array_split(np.arange(len(self.photos)), max(1, len(self.photos) // 2048))
        return np.concatenate([head(np.asarray(rows[part], np.float32)) for part in parts])

    @cached_property
    def space(self) -> Space:
        """The fitted space."""
        return load_space(self.paths.words / "projection.npz")

    @cached_property
    def validation(self) -> Validation:
        """The hold-out's measures."""
        from .validate import make_validation

        return make_validation(self.photos, self.text_cache, self.space)


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
        print(f"teacher on the hold-out, d{dim}: {_shown(run.validation.measures(held, dim))}")


def _shown(measures: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.3f}" for name, value in measures.items())


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
    return 0 if plan.init == SCRATCH or point.plain else point.frozen


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
    coco = run.space.texts(run.text_cache.get(COCO_NAMES, prompted=True))
    raise_to_floor(rows, prominent(run.photos, *run.detected[:2]), coco)
    return rows


def training_words(run: Run) -> Words:
    """What the student's text losses compare with."""
    from .distil import make_words
    from .rows import box_text_rows

    return make_words(
        run.bank,
        box_text_rows(run.photos, run.bank),
        run.presence,
        run.text_cache.get(COCO_NAMES, prompted=True),
        vocabulary(run),
        run.space,
    )


def hold_out_check(
    run: Run, embedded: Callable[[Student], F32] | None = None
) -> Callable[[Student], dict[str, float]]:
    """What is measured of a student on the hold-out; `embedded` gives its embeddings there."""
    from .distil import embed

    held = run.validation.photos
    wanted = run.space.pictures(run.targets[held])
    if embedded is None:
        pixels = np.array(run.caches[0][1].pixels[held])
        embedded = partial(embed, pixels=pixels, device=run.device)

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


def distil_student(run: Run) -> None:
    """Train the student; `student.pt` in the run's folder."""
    from .distil import DistilOptions, distil

    if (run.paths.out / "student.pt").exists():
        print("distil: student.pt is there, nothing to do")
        return
    rows, words, student = training_rows(run), training_words(run), first_student(run)
    options = DistilOptions(
        minutes=run.plan.minutes, steps=run.plan.steps, quantised=run.plan.quantised,
        fixed=run.plan.fixed, frozen_blocks=frozen_blocks(run.plan, run.point),
    )  # fmt: skip
    if options.quantised:
        options = replace(options, rate=options.rate / 8, head_rate=options.head_rate / 8)
    distil(student, rows, words, options, run.paths.out, run.device, hold_out_check(run),
           every_s=min(240.0, run.plan.minutes * 60 / 6))  # fmt: skip


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
    print(f"blend: {_shown(hold_out_check(run)(student))}")
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
    """The layers behind the last map, trained on the file's own int8 maps; then all that follows.

    The cells go with the old head: `boxes` puts them back.
    """
    from .refine import refine

    refine(run)
    background(run)


def boxes(run: Run) -> None:
    """The dense head behind the encoder's graph; bank and calibration stay what they were."""
    from .dense_steps import add_cells

    add_cells(run)


def background(run: Run) -> None:
    """`bank.npz` and `calibration.json` for the present encoder's embedding; `boxes` goes after."""
    from .calibrate import build_background

    result = build_background(
        run.photos,
        run.space.pictures(run.targets),
        run.paths.encoder,
        run.space,
        run.text_cache,
        run.paths.space,
        run.plan.workers,
        reference=not run.plan.smoke,
    )
    print(f"background: {json.dumps(result['dims'])} {json.dumps(result['exclusion'])}")


def copy_for_smoke(run: Run) -> None:
    """A smoke run must not export the text tower anew when one is shipped: take that."""
    shipped, own = Path(__file__).parents[2] / WORDS, run.paths.words
    own.mkdir(parents=True, exist_ok=True)
    for name in ("text.tflite", "tokenizer.json"):
        if (shipped / name).exists() and not (own / name).exists():
            shutil.copyfile(shipped / name, own / name)

"""What the steps of a run share: its paths, its sizes, and what they compute once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .data import Photo, training_photos
from .operating import POINTS, Point
from .pseudo import add_detected, detect, detected_rows
from .sources import read_sources
from .space import Space, load_space
from .teachers import DEFAULT, Teacher, choose_teacher
from .text import F32, WORDS, TextCache, TextTower
from .towers import STUDENT_SIDE, Cache, Group, fill_caches, open_cache, view_groups
from .truth import COCO_NAMES, TextBank, build_text_bank, presence_matrix

if TYPE_CHECKING:
    import torch

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
    """Steps of the layers behind the last block on the int8 file's maps."""
    keep_wide: bool = False
    """Refine the embedding layer alone: cells and captions find what they read as it was."""
    dense_steps: int = 0
    """Train the dense head so many steps, not `dense_minutes` long."""
    frozen: int = -1
    """So many blocks keep the weights that they begin with; -1: as many as the point says."""
    fixed: bool = False
    """Compute what the frozen blocks make of each view once."""
    quantised: bool = False
    """Train the student through the rounding of the int8 file."""
    side: int = 0
    """Pixels a side of the student, where not its point's: for runs that are compared."""
    zoom: int = 0
    """Keep views at so many pixels a side, and show the student another part of one each step."""
    sources: tuple[str, ...] = ()
    """Further photos, each NAME=FOLDER (see `sources`)."""

    def smaller(self) -> Plan:
        """The same steps in a minute or two."""
        return replace(
            self, views=2, align_epochs=4, minutes=0.2, dense_minutes=0.1, calibration_photos=64,
            refine_steps=8, smoke=True, every=SMOKE_SHARE,
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
        """The operating point that is made.

        Raises ValueError for an unknown one, and for more pixels than the views are kept at.
        """
        if self.paths.model not in POINTS:
            raise ValueError(f"no model {self.paths.model!r}; there are: {', '.join(POINTS)}")
        point = POINTS[self.paths.model]
        if self.plan.side > max(STUDENT_SIDE, self.plan.zoom):
            raise ValueError(
                f"--side {self.plan.side}: views are kept at {STUDENT_SIDE} pixels a side; say "
                f"--zoom {self.plan.side}, or more, too"
            )
        return replace(point, side=self.plan.side) if self.plan.side else point

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

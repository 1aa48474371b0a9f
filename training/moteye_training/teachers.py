"""Teachers to choose from: `composed`, which needs no network, and any model of open_clip.

A teacher looks at a picture and gives a row: pooled features, then logits of ImageNet's classes
(background first). What comes behind is the same for all: the alignment head puts rows into the
space of the text tower, so that phrases, prototypes and devices know nothing of the teacher.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .text import F32
from .towers import COMPOSED, TEACHER_SIDE, Layout, Towers

U8 = NDArray[np.uint8]
DEFAULT = "composed"
OPEN_CLIP = "open_clip:"


@dataclass(frozen=True)
class Eyes:
    """A teacher that is loaded: uint8[side, side, 3] -> float32[layout.row]."""

    side: int
    see: Callable[[U8], F32]


@dataclass(frozen=True)
class Teacher:
    """A teacher by its name; small, so that processes can be handed it and load it themselves."""

    name: str
    models: Path

    @property
    def is_composed(self) -> bool:
        """Whether it is the one that the project ships an alignment head for."""
        return self.name == DEFAULT

    @property
    def slug(self) -> str:
        """Its name as a part of a file's name."""
        return re.sub(r"[^A-Za-z0-9]+", "-", self.name).strip("-")

    @property
    def layout(self) -> Layout:
        """What its rows hold."""
        if self.is_composed:
            return COMPOSED
        from .open_clip_teacher import embedding_width

        return Layout(1, embedding_width(self._model))

    def load(self) -> Eyes:
        """Load it."""
        if self.is_composed:
            return Eyes(TEACHER_SIDE, Towers(self.models))
        from .open_clip_teacher import OpenClip

        clip = OpenClip(self._model, self.models)
        return Eyes(clip.side, clip)

    @property
    def _model(self) -> str:
        return self.name.removeprefix(OPEN_CLIP)


def choose_teacher(name: str, models: Path) -> Teacher:
    """The teacher of that name.

    Raises ValueError for a name that is neither `composed` nor `open_clip:MODEL[,WEIGHTS]`.
    """
    if name != DEFAULT and not (name.startswith(OPEN_CLIP) and len(name) > len(OPEN_CLIP)):
        raise ValueError(
            f"--teacher {name!r}: expected composed or open_clip:MODEL[,WEIGHTS], as in "
            "open_clip:ViT-B-32,openai or open_clip:local-dir:/folder"
        )
    return Teacher(name, models)

"""Folders, photos, pictures and maps that the steps of OverMod's training share."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from ...augment import squash
from ...cache import write_whole
from ...data import Photo, training_photos
from ...imagenet import class_probabilities
from ...sources import imagenet1k, read_sources
from ...teachers import DEFAULT, Teacher
from ...towers import STUDENT_SIDE, Group, class_names, fill_caches, open_cache
from ..evaluate import evaluation
from ..maps import Maker, ViewCache
from ..sentences import PEOPLE
from ..stages import VIEWS, Work
from ..tap import Tap
from ..train import HoldOut
from .classify import Taught
from .encoder import CaptionEncoder, Fusion
from .sizes import CLASSES, ENCODERS, EncoderSize

PICTURE = (1 / 128, 128)
"""Scale and zero point of a pixel."""
Places = dict[tuple[str, int], int]


@dataclass
class OwnWork(Work):
    """As for the decoder alone, but the encoder is one of `sizes.ENCODERS`."""

    name: str = "nano"
    sources: tuple[str, ...] = ()
    minutes: float = 0

    @property
    def size(self) -> EncoderSize:
        """The encoder's size."""
        return ENCODERS[self.name]

    @cached_property
    def photos(self) -> list[Photo]:
        """The shards' photos, and those of public collections."""
        return [*training_photos(self.data), *read_sources(self.sources, self.data, self.out)]

    @cached_property
    def tap(self) -> Tap:
        """Shape of the fusion's map, which is of real numbers."""
        return Tap((self.size.side // 32) ** 2, Fusion(self.size).channels, 1.0, 0)

    @property
    def picture(self) -> Tap:
        """How pixels are read as numbers."""
        return Tap(self.tap.positions, 3, *PICTURE)

    def pictures(self, photos: Sequence[Photo], views: int, folder: str) -> tuple[Any, Places]:
        """(uint8[rows, S, S, 3], row of each photo and view), cached."""
        side = self.size.side
        wanted = [(photo, view) for photo in photos for view in range(views)]
        shape = (side, side, 3)
        cache = ViewCache(self.out / folder, f"pixels {side}")
        return cache.fill_with(
            wanted, lambda: Maker(shape, np.uint8, lambda image: squash(image, side))
        )

    @cached_property
    def captioned_pictures(self) -> tuple[Any, Places]:
        """Of every photo with captions of people, hold-out included."""
        told = [p for p in self.photos if p.captions and p.source in PEOPLE]
        return self.pictures(told, VIEWS, "pictures")

    @cached_property
    def evaluation_pictures(self) -> Any:
        """Of `coco-eval`, in order."""
        return self.pictures(evaluation(self.data), 1, "pictures_eval")[0]

    @torch.no_grad()
    def encoded(self, encoder: CaptionEncoder, pixels: Any, name: str) -> Any:
        """float16[rows, P, C] of pictures, kept under the name and the weights' hash."""
        encoder.eval()
        weights = b"".join(
            value.detach().cpu().numpy().tobytes() for value in encoder.state_dict().values()
        )
        path = self.out / f"{name}-{hashlib.sha256(weights).hexdigest()[:16]}.npy"
        if not path.exists():
            encoder.to(self.plan.device)
            parts = []
            for part in np.array_split(np.arange(len(pixels)), max(1, len(pixels) // 128)):
                x = torch.from_numpy(np.asarray(pixels[part])).to(self.plan.device)
                x = ((x.float() - 128) / 128).permute(0, 3, 1, 2)
                maps = encoder(x.contiguous(memory_format=torch.channels_last))
                parts.append(maps.half().cpu().numpy())
            stacked = np.concatenate(parts)
            write_whole(path, lambda file: np.save(file, stacked))
        return np.load(path, mmap_mode="r")

    def held_out(self, arrays: Any, places: Places, tap: Tap) -> HoldOut:
        """The photos that choices are made on, read from these arrays."""
        return HoldOut(self.captioned, self.vocabulary, arrays, tap, places)

    def taught(self) -> Taught:
        """What stage 1 learns: labels where they are ImageNet's, else what the towers say."""
        photos = self.photos
        names = {
            name.lower(): number
            for number, several in reversed(list(enumerate(class_names(self.models))))
            for name in several
        }
        label = np.array(
            [p.extra.get(imagenet1k.CLASS, names.get(p.label_text.lower(), -1)) for p in photos],
            np.int64,
        )
        told = [at for at, p in enumerate(photos) if imagenet1k.CLASS not in p.extra]
        soft = np.zeros((len(photos), CLASSES), np.float16)
        own = [photos[at] for at in told]
        group = Group("v0", tuple((row, 0) for row in range(len(own))))
        fill_caches(self.out / "towers", [group], own, Teacher(DEFAULT, self.models), workers=1)
        cache = open_cache(self.out / "towers", group)
        for part in np.array_split(np.arange(len(own)), max(1, len(own) // 1024)):
            rows = np.asarray(cache.features[part], np.float32)
            soft[np.array(told)[part]] = class_probabilities(rows)
        small = self.size.side == STUDENT_SIDE and len(told) == len(photos)
        return Taught(photos, label, soft, self.size.side, cache.pixels if small else None)

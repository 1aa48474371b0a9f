"""General names of what photos show: their labels say a species, people ask for a flower.

Household names of COCO are known from boxes; these are known from where a photo comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .data import BOXED_SOURCES, PLANT_SOURCES, POTTED_SOURCES, Photo

FLOWER, PLANT = GENERAL_NAMES = ("flower", "plant")
FLOWER_SOURCES = ("flowers102", "garden-plants", "ornamental-plants")
NO_FLOWERS = (
    "garlic mustard plant", "echeveria succulent plant", "ball moss", "watercress", "artichoke",
)  # fmt: skip
"""Labels of these sources whose photos show leaves."""
WITHOUT_PLANTS = ("clothing",)
INDOORS = {
    "couch", "bed", "toilet", "tv", "laptop", "mouse", "keyboard", "microwave", "oven", "toaster",
    "sink", "refrigerator",
}  # fmt: skip
"""With one of these there is no tree or grass, which nobody boxed."""
MENTIONS = ("flower", "plant", "rose", "tulip", "daisy", "bouquet", "garden", "blossom", "tree")


def general_names(photo: Photo) -> tuple[str, ...]:
    """Those of GENERAL_NAMES that the photo surely shows."""
    names = []
    if photo.source in FLOWER_SOURCES and photo.label_text not in NO_FLOWERS:
        names.append(FLOWER)
    if photo.source in (*FLOWER_SOURCES, *PLANT_SOURCES) or "potted plant" in photo.box_names:
        names.append(PLANT)
    return tuple(names)


def shows_none(photo: Photo, name: str) -> bool:
    """Whether there surely is none: by complete boxes and captions, or by the source."""
    if photo.source in WITHOUT_PLANTS:
        return True
    boxed = set(photo.box_names)
    if photo.source not in BOXED_SOURCES or "potted plant" in boxed:
        return False
    if "vase" in boxed if name == FLOWER else not boxed & INDOORS:
        return False
    return not any(word in caption.lower() for caption in photo.captions for word in MENTIONS)


def known_generally(photo: Photo) -> dict[str, bool]:
    """Those of GENERAL_NAMES that the photo surely shows or surely does not."""
    shown = general_names(photo)
    known = dict.fromkeys((name for name in GENERAL_NAMES if shows_none(photo, name)), False)
    return known | dict.fromkeys(shown, True)


def presence_table(
    photos: Sequence[Photo], names: Sequence[str], known: Callable[[Photo], Mapping[str, bool]]
) -> NDArray[np.int8]:
    """int8[N, len(names)]: 1 present, 0 absent, -1 where `known` says nothing."""
    table = np.full((len(photos), len(names)), -1, np.int8)
    for row, photo in enumerate(photos):
        said = known(photo)
        for column, name in enumerate(names):
            if name in said:
                table[row, column] = said[name]
    return table


def general_presence(photos: Sequence[Photo]) -> NDArray[np.int8]:
    """int8[N, len(GENERAL_NAMES)]: 1 present, 0 absent, -1 not known."""
    return presence_table(photos, GENERAL_NAMES, known_generally)


def general_subjects(photos: Sequence[Photo]) -> NDArray[np.bool_]:
    """bool[N, len(GENERAL_NAMES)]: photos that were taken of such a thing, so that it is large."""
    sources = (*FLOWER_SOURCES, *POTTED_SOURCES)
    subjects = np.array([[photo.source in sources] for photo in photos], np.bool_)
    return np.asarray(subjects & (general_presence(photos) == 1), np.bool_)

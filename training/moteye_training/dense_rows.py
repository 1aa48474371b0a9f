"""What the dense head learns from: features of the shipped encoder, boxes, what is known to lack.

The backbone stays as it is, so that its features are computed once a view and kept on disk. A view
is the whole photo, the whole one mirrored, or a mirrored or plain crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from PIL import Image

from .augment import photometric, random_crop_box, squash, view_rng
from .cache import open_memmap, rows_to_do, run_parts
from .data import POTTED_SOURCES, Photo, open_photo
from .pseudo import SURE
from .text import F32
from .towers import STUDENT_SIDE, retarget
from .truth import COCO_NAMES

NEAR, FAR = "block14/expand", "block17/project"
"""Tensors of the encoder: 6x6 cells at stride 16, and 3x3 at stride 32 with the wider view."""
DENSE_VIEW = 200
"""Numbers of views from here on are the dense head's, so that no crop is another cache's."""
LEAST_SHARE = 0.5
"""A box of which a crop keeps less is no box of the crop."""

GARDEN = "garden plant"
"""Name of the middle of a photo of one: nobody boxed them, but it is what the photo is of."""
MIDDLE = (0.1, 0.1, 0.9, 0.9)
OF_MIDDLE = dict.fromkeys(POTTED_SOURCES, "potted plant") | {"garden-plants": GARDEN}
ABSENT_WITH = {"flower": ("potted plant", "vase"), "plant": ("potted plant",)}
"""Words of which there is none where these are known to lack."""
SAME_AS: dict[str, tuple[str, ...]] = {
    "plant": ("potted plant", GARDEN), "flower": (GARDEN,),
    "house plant": ("potted plant",), "flower pot": ("potted plant",),
    "television": ("tv",), "screen": ("tv", "laptop"), "computer": ("laptop",), "sofa": ("couch",),
    "mug": ("cup",), "coffee cup": ("cup",), "glass": ("wine glass", "cup"), "bike": ("bicycle",),
    "motorbike": ("motorcycle",), "plane": ("airplane",), "phone": ("cell phone",),
    "fridge": ("refrigerator",), "table": ("dining table",), "rucksack": ("backpack",),
    "bag": ("handbag", "backpack", "suitcase"), "kitten": ("cat",), "puppy": ("dog",),
    "somebody": ("person",), "people": ("person",), "van": ("car", "truck"),
    "animal": (
        "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe",
    ),
    "vehicle": ("car", "bus", "truck", "motorcycle", "train"),
    "fruit": ("banana", "apple", "orange"), "stuffed toy": ("teddy bear",),
}  # fmt: skip
"""Other words for boxed things, so that the head learns directions and not 80 names."""


@dataclass
class Cells:
    """Memmaps of the features of N views: near int8[N, 6, 6, C], far int8[N, 3, 3, C], done.

    `steps` are scale and zero point of near and of far.
    """

    near: Any
    far: Any
    done: Any
    steps: list[tuple[float, int]]


class FeatureTower:
    """The shipped encoder up to tensors of it; `steps` are their scales and zero points."""

    def __init__(self, encoder: Path, wanted: Sequence[str] = (NEAR, FAR)) -> None:
        content = encoder.read_bytes()
        graph = schema.ModelT.InitFromPackedBuf(bytearray(content), 0).subgraphs[0]
        names = [tensor.name.decode() for tensor in graph.tensors]
        missing = [name for name in wanted if name not in names]
        if missing:
            raise ValueError(f"{encoder}: no tensor {missing[0]}: another backbone")
        at = [names.index(name) for name in wanted]
        self._runner = Interpreter(model_content=retarget(content, at), num_threads=1)
        self._runner.allocate_tensors()
        given = self._runner.get_input_details()[0]
        self._input, self.side = given["index"], int(given["shape"][1])
        details = self._runner.get_output_details()
        self._outputs = [detail["index"] for detail in details]
        self.shapes = [tuple(int(n) for n in detail["shape"][1:]) for detail in details]
        self.steps = [(float(d["quantization"][0]), int(d["quantization"][1])) for d in details]

    def __call__(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.int8]]:
        """Features of one picture uint8[side, side, 3]."""
        self._runner.set_tensor(self._input, (pixels.astype(np.int16) - 128).astype(np.int8)[None])
        self._runner.invoke()
        return [np.array(self._runner.get_tensor(out)[0], np.int8) for out in self._outputs]


Crop = tuple[int, int, int, int]


def view_crop(photo: Photo, view: int) -> tuple[Crop, bool, np.random.Generator]:
    """A view's rectangle in the photo, whether it is mirrored, and its generator."""
    rng = view_rng(photo.key, DENSE_VIEW + view)
    size = (photo.width, photo.height)
    if view < 2:
        return (0, 0, *size), view == 1, rng
    crop = random_crop_box(size, rng)
    return crop, bool(rng.random() < 0.5), rng


def dense_view(photo: Photo, view: int) -> Image.Image:
    """The picture of a view."""
    crop, mirrored, rng = view_crop(photo, view)
    image = open_photo(photo).crop(crop)
    if mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return photometric(image, rng) if view >= 2 else image


def _fill(
    folder: Path, encoder: Path, photos: Sequence[Photo], rows: Sequence[tuple[int, int]],
    part: int, of: int,
) -> None:  # fmt: skip
    """Worker: rows part, part + of, ... that are not done yet."""
    tower = FeatureTower(encoder)
    cells = open_cells(folder, len(rows), tower)
    for row in rows_to_do(cells.done, part, of):
        index, view = rows[row]
        pixels = squash(dense_view(photos[index], view), STUDENT_SIDE)
        cells.near[row], cells.far[row] = tower(pixels)


def open_cells(folder: Path, count: int, tower: FeatureTower) -> Cells:
    """Open the features' memmaps, creating them when absent; other sizes are an error."""
    folder.mkdir(parents=True, exist_ok=True)
    near, far = tower.shapes
    return Cells(
        open_memmap(folder / "near.s8", np.int8, (count, *near)),
        open_memmap(folder / "far.s8", np.int8, (count, *far)),
        open_memmap(folder / "done.u8", np.uint8, (count,)),
        tower.steps,
    )


def fill_cells(
    folder: Path, encoder: Path, photos: Sequence[Photo], rows: Sequence[tuple[int, int]],
    workers: int,
) -> Cells:  # fmt: skip
    """Features of all views `rows` of (photo, view), each computed once."""
    cells = open_cells(folder, len(rows), FeatureTower(encoder))
    print(
        f"dense: features of {int((cells.done == 0).sum())} of {len(rows)} views to do", flush=True
    )
    run_parts(_fill, (folder, encoder, photos, rows), cells.done, workers, "the features")
    return cells


Named = list[tuple[str, float, float, float, float]]


def photo_boxes(photo: Photo, detected: F32 | None) -> Named:
    """(name, x0, y0, x1, y1) in shares of the photo: its own boxes, else those of the detector."""
    if photo.boxes:
        wide, high = max(1, photo.width), max(1, photo.height)
        return [
            (n, x0 / wide, y0 / high, x1 / wide, y1 / high) for x0, y0, x1, y1, n in photo.boxes
        ]
    if photo.source in OF_MIDDLE:
        return [(OF_MIDDLE[photo.source], *MIDDLE)]
    if detected is None:
        return []
    sure = detected[detected[:, 1] > SURE]
    return [(COCO_NAMES[int(b[0])], *(float(v) for v in b[2:])) for b in sure]


def view_boxes(boxes: Named, size: tuple[int, int], crop: Crop, mirrored: bool) -> Named:
    """The boxes of a view, in shares of the view; what it cuts mostly off is left out."""
    wide, high = size
    sides = np.array([wide, high] * 2)
    start = np.array([*crop[:2]] * 2) / sides
    scale = np.array([crop[2] - crop[0], crop[3] - crop[1]] * 2) / sides
    found: Named = []
    for name, *edges in boxes:
        moved = (np.array(edges) - start) / scale
        kept = moved.clip(0, 1)
        area = (moved[2] - moved[0]) * (moved[3] - moved[1])
        if area <= 0 or (kept[2] - kept[0]) * (kept[3] - kept[1]) < LEAST_SHARE * area:
            continue
        x0, y0, x1, y1 = (float(v) for v in kept)
        found.append((name, 1 - x1, y0, 1 - x0, y1) if mirrored else (name, x0, y0, x1, y1))
    return found


@dataclass(frozen=True)
class Vocabulary:
    """Names that the head is asked for, and for each the boxed names that it stands for."""

    names: tuple[str, ...]
    members: tuple[tuple[str, ...], ...]

    def columns(self, name: str) -> list[int]:
        """Columns for which a box of this name is one."""
        return [at for at, members in enumerate(self.members) if name in members]


def make_vocabulary(photos: Sequence[Photo]) -> Vocabulary:
    """COCO's names, other words for them, and further names of boxes."""
    further = sorted({n for p in photos for n in p.box_names} - {*COCO_NAMES, *SAME_AS, GARDEN})
    names = (*COCO_NAMES, *SAME_AS, *further)
    members = [(n,) for n in COCO_NAMES] + list(SAME_AS.values()) + [(n,) for n in further]
    return Vocabulary(names, tuple(members))


def known_columns(
    vocabulary: Vocabulary, presence: NDArray[np.int8], boxes: Sequence[Named]
) -> NDArray[np.bool_]:
    """bool[N, names]: whether a cell without a box of the name says that it is not there.

    Of COCO's names by `presence` int8[N, 80], of other words where that is known of all they stand
    for, and of any name where the photo has a box of it.
    """
    known = np.zeros((len(presence), len(vocabulary.names)), np.bool_)
    column = {name: at for at, name in enumerate(COCO_NAMES)}
    for at, (name, members) in enumerate(zip(vocabulary.names, vocabulary.members, strict=True)):
        asked = [column[m] for m in ABSENT_WITH.get(name, members) if m in column]
        if asked:
            known[:, at] = (presence[:, asked] >= 0).all(1)
        known[:, at] |= [any(box[0] in members for box in some) for some in boxes]
    return known

"""The teacher's two image towers, run through LiteRT, and their cache over many views.

B1 (MobileNet-EdgeTPU) and B2 (MobileNetV2), both ImageNet-trained, 224 x 224. Their files end in
a softmax with 1/256 steps; here the flatbuffer's outputs are moved to the last feature map and the
logits, so that XNNPACK still runs the whole graph and pooling happens in float.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from PIL import Image

from .augment import box_crops, make_view, photometric, squash, view_rng
from .cache import open_memmap, rows_to_do, run_parts
from .data import Photo, open_photo

if TYPE_CHECKING:
    from .teachers import Teacher

F16 = NDArray[np.float16]
F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

TEACHER_SIDE = 224
STUDENT_SIDE = 96
FEATURE, CLASSES = 1280, 1001
BOX_VIEW = 100
"""Views from here on are crops of boxes: BOX_VIEW + k is the k-th of `box_crops`."""


@dataclass(frozen=True)
class Layout:
    """A teacher's row of a view: features of each tower, then CLASSES logits of each."""

    towers: int
    feature: int

    @property
    def width(self) -> int:
        """Values of all features."""
        return self.towers * self.feature

    @property
    def row(self) -> int:
        """Values of a row."""
        return self.width + self.towers * CLASSES


COMPOSED = Layout(2, FEATURE)


def class_names(models: Path) -> list[list[str]]:
    """Up to two synonyms for each of the 1,000 classes (the file's line 0 is background)."""
    lines = (models / "teacher" / "imagenet_labels_1001.txt").read_text().splitlines()
    return [[name.strip() for name in line.split(",")][:2] for line in lines[1:CLASSES]]


@dataclass(frozen=True)
class TowerFile:
    """A tower's file and the tensors read from it."""

    name: str
    map_tensor: int
    logit_tensor: int


B1 = TowerFile("mobilenet_edgetpu_224_1.0_uint8.tflite", 191, 194)
B2 = TowerFile("tf2_mobilenet_v2_1.0_224_ptq.tflite", 171, 173)


def retarget(flatbuffer: bytes, outputs: Sequence[int]) -> bytes:
    """The same model with other tensors of its first subgraph as outputs."""
    model = schema.ModelT.InitFromPackedBuf(bytearray(flatbuffer), 0)
    model.subgraphs[0].outputs = list(outputs)
    model.signatureDefs = []
    builder = flatbuffers.Builder(len(flatbuffer) + 4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class Tower:
    """One tower: uint8[224, 224, 3] -> pooled float32[1280] and logits float32[1001]."""

    def __init__(self, models: Path, file: TowerFile) -> None:
        raw = (models / "teacher" / file.name).read_bytes()
        content = retarget(raw, (file.map_tensor, file.logit_tensor))
        self._runner = Interpreter(model_content=content, num_threads=1)
        self._runner.allocate_tensors()
        self._input = self._runner.get_input_details()[0]["index"]
        self._outputs: list[tuple[int, float, int]] = []
        for detail in self._runner.get_output_details():
            scale, zero = detail["quantization"]
            self._outputs.append((detail["index"], float(scale), int(zero)))

    def __call__(self, pixels: U8) -> tuple[F32, F32]:
        """Pooled feature and logits of one picture."""
        self._runner.set_tensor(self._input, pixels[None])
        self._runner.invoke()
        (map_at, map_scale, map_zero), (logit_at, logit_scale, logit_zero) = self._outputs
        cells = self._runner.get_tensor(map_at).reshape(-1, FEATURE)
        pooled = (cells.mean(0, dtype=np.float32) - map_zero) * np.float32(map_scale)
        logits = self._runner.get_tensor(logit_at).reshape(CLASSES).astype(np.float32)
        return pooled, (logits - logit_zero) * np.float32(logit_scale)


class Towers:
    """Both towers of the composed teacher: one picture -> float32[COMPOSED.row]."""

    def __init__(self, models: Path) -> None:
        self._towers = (Tower(models, B1), Tower(models, B2))

    def __call__(self, pixels: U8) -> F32:
        """Features and logits of one picture."""
        (pooled_1, logits_1), (pooled_2, logits_2) = (tower(pixels) for tower in self._towers)
        return np.concatenate([pooled_1, pooled_2, logits_1, logits_2])


def render(photo: Photo, view: int) -> Image.Image:
    """The picture of one view, of the photo or of a crop of one of its boxes."""
    image = open_photo(photo)
    if view < BOX_VIEW:
        return make_view(image, photo.key, view)
    crop, _ = box_crops(photo)[view - BOX_VIEW]
    rng = view_rng(photo.key, view)
    image = image.crop(crop)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return photometric(image, rng) if rng.random() < 0.5 else image


@dataclass(frozen=True)
class Group:
    """Views that are cached together: `rows` are (index of the photo, view)."""

    name: str
    rows: tuple[tuple[int, int], ...]


def view_groups(photos: Sequence[Photo], views: int, boxes: bool = True) -> list[Group]:
    """Group `v0` (whole photos), `box` (crops of boxes, if any), then `v1` .. of further views."""
    groups = [Group(f"v{v}", tuple((i, v) for i in range(len(photos)))) for v in range(views)]
    if boxes:
        rows = [
            (i, BOX_VIEW + k)
            for i, photo in enumerate(photos)
            for k in range(len(box_crops(photo)))
        ]
        if rows:
            groups.insert(1, Group("box", tuple(rows)))
    return groups


@dataclass
class Cache:
    """Memmaps of one group: features float16[N, row], pixels uint8[N, 96, 96, 3], done uint8[N]."""

    features: Any
    pixels: Any
    done: Any


def open_cache(folder: Path, group: Group, row: int = COMPOSED.row) -> Cache:
    """Open the group's memmaps, creating them when absent; other sizes are an error."""
    folder.mkdir(parents=True, exist_ok=True)
    count = len(group.rows)

    side, stem = STUDENT_SIDE, f"{folder}/{group.name}"
    return Cache(
        open_memmap(Path(f"{stem}.feat.f16"), np.float16, (count, row)),
        open_memmap(Path(f"{stem}.px.u8"), np.uint8, (count, side, side, 3)),
        open_memmap(Path(f"{stem}.done.u8"), np.uint8, (count,)),
    )


def _fill(
    folder: Path, group: Group, photos: Sequence[Photo], teacher: Teacher, part: int, of: int
) -> None:
    """Worker: rows part, part + of, ... that are not done yet."""
    cache = open_cache(folder, group, teacher.layout.row)
    eyes = teacher.load()
    for row in rows_to_do(cache.done, part, of):
        index, view = group.rows[row]
        image = render(photos[index], view)
        cache.features[row] = eyes.see(squash(image, eyes.side))
        cache.pixels[row] = squash(image, STUDENT_SIDE)


def fill_caches(
    folder: Path, groups: Sequence[Group], photos: Sequence[Photo], teacher: Teacher,
    workers: int = 2,
) -> None:  # fmt: skip
    """Fill what is missing in the groups' caches, group by group, with `workers` processes."""
    for group in groups:
        cache = open_cache(folder, group, teacher.layout.row)
        missing = int((cache.done == 0).sum())
        print(f"towers: group {group.name}: {missing} of {len(group.rows)} rows to do", flush=True)
        if not missing:
            continue
        started = time.monotonic()
        run_parts(
            _fill, (folder, group, photos, teacher), cache.done, workers, f"group {group.name}"
        )
        seconds = time.monotonic() - started
        print(f"towers: group {group.name}: done in {seconds:.0f} s", flush=True)

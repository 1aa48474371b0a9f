"""COCO things as a detector sees them, for photos without boxes: their presence and their boxes.

NanoDet-Plus (Apache-2.0) through `ncnn`. By the best score of a class anywhere in the photo it is
present above SURE, absent below NOT_THERE, between them not known. Boxes teach the dense head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .cache import open_memmap, rows_to_do, run_parts
from .data import Photo, open_photo
from .truth import COCO_NAMES

F32 = NDArray[np.float32]
MODEL = "teacher/nanodet-plus-m-1.5x_416_int8"
SIDE = 416
SURE, NOT_THERE = 0.4, 0.06
BOXES, LEAST_BOX, SAME_THING = 24, 0.25, 0.6
PROMINENT_SCORE, PROMINENT_AREA = 0.6, 0.06
UNBOXED_SOURCES = (
    "coco-caption1", "vn-caption-images", "cc3m-sample", "flickr8k", "unsplash-picsum",
    "houses-rooms", "doordetect", "imagenet-sample", "imagenette", "nips2017-dev", "pacs-photo",
    "caltech101", "clothing",
)  # fmt: skip
"""Sources of real photos without complete boxes. Portraits and things in hands are what teaches
that a face that fills the picture is a person too: the teacher's ImageNet classes have none."""

DETECTOR_NAMES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog",
    "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange",
    "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant",
    "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip


def fit_in(image: Image.Image) -> NDArray[np.uint8]:
    """BGR pixels with the long side at SIDE, padded to multiples of 32 with the photo's mean."""
    width, height = image.size
    ratio = SIDE / max(width, height)
    new_w, new_h = max(32, round(width * ratio)), max(32, round(height * ratio))
    pixels = np.asarray(image.resize((new_w, new_h), Image.Resampling.BILINEAR))[..., ::-1]
    padded = np.empty((-(-new_h // 32) * 32, -(-new_w // 32) * 32, 3), np.uint8)
    padded[:] = pixels.mean((0, 1)).astype(np.uint8)
    padded[:new_h, :new_w] = pixels
    return padded


class Detector:
    """NanoDet-Plus: one picture -> scores and boxes."""

    def __init__(self, models: Path) -> None:
        import ncnn

        self._ncnn, self._net = ncnn, ncnn.Net()
        self._net.opt.num_threads = 1
        if self._net.load_param(str(models / f"{MODEL}.param")) != 0:
            raise FileNotFoundError(f"{models / MODEL}.param: no detector there")
        self._net.load_model(str(models / f"{MODEL}.bin"))
        self._order = [DETECTOR_NAMES.index(name) for name in COCO_NAMES]

    def __call__(self, image: Image.Image) -> tuple[F32, F32]:
        """Best score of each of COCO_NAMES float32[80], and float32[BOXES, 6].

        A box is column of COCO_NAMES, score, x0, y0, x1, y1 in shares of the picture's sides; best
        first, rows of zeros behind the last.
        """
        pixels = np.ascontiguousarray(fit_in(image))
        height, width = pixels.shape[:2]
        kind = self._ncnn.Mat.PixelType.PIXEL_BGR
        data = self._ncnn.Mat.from_pixels(pixels, kind, width, height)
        mean, norm = [103.53, 116.28, 123.675], [1 / 57.375, 1 / 57.12, 1 / 58.395]
        data.substract_mean_normalize(mean, norm)
        classes, boxes = [], []
        with self._net.create_extractor() as extractor:
            extractor.input("data", data)
            for stride in (8, 16, 32, 64):
                given = [np.array(extractor.extract(f"{n}{stride}")[1]) for n in ("cls", "dis")]
                cells, far = -(-width // stride), -(-height // stride)
                classes.append(given[0].reshape(len(COCO_NAMES), -1).T[:, self._order])
                boxes.append(cell_boxes(given[1].reshape(cells * far, 4, 8), cells, stride))
        scores, edges = np.concatenate(classes), np.concatenate(boxes)
        ratio = SIDE / max(image.size)
        # In pixels of the resized photo: the padding lies behind it.
        edges = edges / (np.array([*image.size] * 2) * ratio)
        return scores.max(0), best_boxes(scores, edges.clip(0, 1).astype(np.float32))


def cell_boxes(bins: F32, cells: int, stride: int) -> F32:
    """Edges float32[N, 4] in pixels: from each cell's middle so many strides to either side.

    bins float32[N, 4, 8]: logits over distances of 0..7 strides (left, top, right, bottom).
    """
    share = np.exp(bins - bins.max(2, keepdims=True))
    away = (share / share.sum(2, keepdims=True)) @ np.arange(8, dtype=np.float32) * stride
    at = np.arange(len(bins))
    x, y = at % cells * stride, at // cells * stride
    middle = np.stack([x, y, x, y], 1).astype(np.float32)
    return np.asarray(middle + away * np.array([-1, -1, 1, 1], np.float32), np.float32)


def overlaps(box: F32, others: F32) -> F32:
    """Intersection over union of box [4] with each of others [N, 4]."""
    inside = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = inside.clip(min=0).prod(1)
    areas = (others[:, 2:] - others[:, :2]).prod(1) + (box[2:] - box[:2]).prod()
    return np.asarray(shared / np.maximum(areas - shared, 1e-9), np.float32)


def best_boxes(scores: F32, edges: F32) -> F32:
    """float32[BOXES, 6] as `Detector` gives them: above LEAST, of one name none over another."""
    found: list[list[float]] = []
    at, column = np.nonzero(scores > LEAST_BOX)
    for n in np.argsort(-scores[at, column]):
        same = np.array([f[2:] for f in found if f[0] == column[n]], np.float32).reshape(-1, 4)
        if len(same) == 0 or overlaps(edges[at[n]], same).max() < SAME_THING:
            found.append([column[n], scores[at[n], column[n]], *edges[at[n]]])
        if len(found) == BOXES:
            break
    boxes = np.zeros((BOXES, 6), np.float32)
    if found:
        boxes[: len(found)] = found
    return boxes


@dataclass
class Detected:
    """Memmaps: scores float16[N, 80], boxes float16[N, BOXES, 6], done uint8[N]."""

    scores: Any
    boxes: Any
    done: Any


def open_detected(folder: Path, count: int) -> Detected:
    """Open what is there, or create it; other sizes are an error."""
    return Detected(
        open_memmap(folder / "detected.scores.f16", np.float16, (count, len(COCO_NAMES))),
        open_memmap(folder / "detected.boxes.f16", np.float16, (count, BOXES, 6)),
        open_memmap(folder / "detected.done.u8", np.uint8, (count,)),
    )


def _detect(folder: Path, photos: Sequence[Photo], models: Path, part: int, of: int) -> None:
    """Worker: rows part, part + of, ... that are not done yet."""
    cache, detector = open_detected(folder, len(photos)), Detector(models)
    for row in rows_to_do(cache.done, part, of):
        cache.scores[row], cache.boxes[row] = detector(open_photo(photos[row]))


def detect(folder: Path, photos: Sequence[Photo], models: Path, workers: int = 2) -> Detected:
    """The detector's word on each photo; what an earlier run has done is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    cache = open_detected(folder, len(photos))
    print(f"detector: {int((cache.done == 0).sum())} of {len(photos)} photos to do", flush=True)
    run_parts(_detect, (folder, photos, models), cache.done, workers, "the detector")
    return cache


def detected_rows(photos: Sequence[Photo], known: NDArray[np.int8]) -> list[int]:
    """Photos the detector is asked about: real ones of which nothing is known."""
    return [
        i
        for i, photo in enumerate(photos)
        if photo.source in UNBOXED_SOURCES and (known[i] < 0).all()
    ]


def add_detected(known: NDArray[np.int8], rows: list[int], scores: F32) -> NDArray[np.int8]:
    """The table int8[N, 80] with the detector's word where nothing was known."""
    table = known.copy()
    table[rows] = np.where(scores > SURE, 1, np.where(scores < NOT_THERE, 0, -1)).astype(np.int8)
    return table


def prominent(photos: Sequence[Photo], rows: list[int], scores: F32) -> NDArray[np.bool_]:
    """bool[N, 80]: things that surely are in the photo and large enough to be seen at 96 pixels.

    Of boxed photos those whose box covers PROMINENT_AREA, of others those the detector is
    PROMINENT_SCORE sure of.
    """
    table = np.zeros((len(photos), len(COCO_NAMES)), np.bool_)
    table[rows] = scores > PROMINENT_SCORE
    columns = {name: column for column, name in enumerate(COCO_NAMES)}
    for row, photo in enumerate(photos):
        size = max(1, photo.width * photo.height)
        for x0, y0, x1, y1, name in photo.boxes:
            if name in columns and (x1 - x0) * (y1 - y0) / size > PROMINENT_AREA:
                table[row, columns[name]] = True
    return table

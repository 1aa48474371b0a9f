"""Presence of COCO things as a detector sees it, for photos without boxes.

NanoDet-Plus (Apache-2.0) through `ncnn`. Only the best score of each class anywhere in the photo is
kept: present above SURE, absent below NOT_THERE, between them not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .data import Photo, open_photo
from .encoder import split_work
from .truth import COCO_NAMES

F32 = NDArray[np.float32]
MODEL = "teacher/nanodet-plus-m-1.5x_416_int8"
SIDE = 416
SURE, NOT_THERE = 0.4, 0.06
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


def detect_presence(photos: Sequence[Photo], models: Path) -> F32:
    """Best score of each of COCO_NAMES in each photo, float32[N, 80]."""
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = 1
    net.load_param(str(models / f"{MODEL}.param"))
    net.load_model(str(models / f"{MODEL}.bin"))
    order = [DETECTOR_NAMES.index(name) for name in COCO_NAMES]
    scores = np.zeros((len(photos), len(COCO_NAMES)), np.float32)
    for row, photo in enumerate(photos):
        pixels = np.ascontiguousarray(fit_in(open_photo(photo)))
        height, width = pixels.shape[:2]
        data = ncnn.Mat.from_pixels(pixels, ncnn.Mat.PixelType.PIXEL_BGR, width, height)
        mean, norm = [103.53, 116.28, 123.675], [1 / 57.375, 1 / 57.12, 1 / 58.395]
        data.substract_mean_normalize(mean, norm)
        with net.create_extractor() as extractor:
            extractor.input("data", data)
            best = np.zeros(len(COCO_NAMES), np.float32)
            for stride in (8, 16, 32, 64):
                _, out = extractor.extract(f"cls{stride}")
                cells = np.array(out).reshape(len(COCO_NAMES), -1)
                best = np.maximum(best, cells.max(1))
        scores[row] = best[order]
    return scores


def detected_rows(photos: Sequence[Photo], known: NDArray[np.int8]) -> list[int]:
    """Photos the detector is asked about: real ones of which nothing is known."""
    return [
        i
        for i, photo in enumerate(photos)
        if photo.source in UNBOXED_SOURCES and (known[i] < 0).all()
    ]


def detector_scores(
    photos: Sequence[Photo], rows: list[int], models: Path, cache: Path, workers: int = 2
) -> F32:
    """Scores float32[len(rows), 80], from the cache where it fits."""
    if cache.exists():
        scores: F32 = np.load(cache).astype(np.float32)
        if len(scores) != len(rows):
            raise ValueError(f"{cache} is for other photos: delete it")
        return scores
    scores = split_work(detect_presence, [photos[i] for i in rows], models, workers=workers)
    cache.parent.mkdir(parents=True, exist_ok=True)
    np.save(cache, scores.astype(np.float16))
    return np.asarray(scores, np.float32)


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

"""Views of a photo: fixed, seeded augmentations that teacher and student both see.

View 0 is the whole photo. The others are drawn from a generator seeded by (photo key, view
number), so that a view is the same picture in every run, process and resolution.
"""

from __future__ import annotations

import hashlib
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from .data import Photo

U8 = NDArray[np.uint8]


def view_rng(key: str, view: int) -> np.random.Generator:
    """Generator of one view of one photo."""
    digest = hashlib.sha256(f"{key}|{view}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def random_resized_crop(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A crop of 35-100 % of the area, sides' ratio 3/4 to 4/3 of the photo's own."""
    return image.crop(random_crop_box(image.size, rng))


def random_crop_box(size: tuple[int, int], rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Left, upper, right, lower edge of such a crop of a picture of this size."""
    width, height = size
    area = rng.uniform(0.35, 1.0)
    stretch = float(np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)) / 2))
    crop_w = min(width, max(16, round(width * area**0.5 * stretch)))
    crop_h = min(height, max(16, round(height * area**0.5 / stretch)))
    left = int(rng.integers(0, width - crop_w + 1))
    top = int(rng.integers(0, height - crop_h + 1))
    return left, top, left + crop_w, top + crop_h


def photometric(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Colour, low light, grey or infrared look, blur, JPEG: what a cheap camera does."""
    if rng.random() < 0.8:
        image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.7, 1.3))
        image = ImageEnhance.Contrast(image).enhance(rng.uniform(0.7, 1.3))
        image = ImageEnhance.Color(image).enhance(rng.uniform(0.5, 1.5))
    if rng.random() < 0.12:
        image = low_light(image, rng)
    if rng.random() < 0.10:
        image = infrared(image, rng)
    if rng.random() < 0.20:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.0)))
    if rng.random() < 0.25:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(35, 85)))
        image = Image.open(buffer).convert("RGB")
    return image


def low_light(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Darkened by a gamma and a gain, with the sensor noise that comes with it."""
    x = np.asarray(image, np.float32) / 255
    x = x ** rng.uniform(1.2, 2.2) * rng.uniform(0.4, 0.9)
    x = x + rng.normal(0, rng.uniform(0.005, 0.03), x.shape).astype(np.float32)
    return Image.fromarray((x.clip(0, 1) * 255).astype(np.uint8))


def infrared(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Grey from a random mix of the channels, as night cameras give."""
    weights = rng.dirichlet((2.0, 2.0, 1.0))
    grey = np.asarray(image, np.float32) @ weights.astype(np.float32)
    grey = (grey * rng.uniform(0.8, 1.2)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(np.repeat(grey[..., None], 3, axis=2))


def make_view(image: Image.Image, key: str, view: int) -> Image.Image:
    """View `view` of the photo: 0 as it is, others cropped, perhaps flipped, and degraded."""
    if view == 0:
        return image
    rng = view_rng(key, view)
    image = random_resized_crop(image, rng)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return photometric(image, rng)


def box_crops(photo: Photo, limit: int = 4) -> list[tuple[tuple[int, int, int, int], str]]:
    """Up to `limit` crops around boxed things, with their names; rare names first.

    A thing counts when its box has sides of at least 24 pixels, so that there is something to
    see. The crop is the box with a third of its side around it, within the photo.
    """
    width, height = photo.width, photo.height
    found: dict[str, tuple[float, tuple[int, int, int, int]]] = {}
    for x0, y0, x1, y1, name in photo.boxes:
        side_x, side_y = x1 - x0, y1 - y0
        if min(side_x, side_y) < 24 or side_x * side_y > 0.7 * width * height:
            continue
        mid_x, mid_y = (x0 + x1) / 2, (y0 + y1) / 2
        # Sides closer to a square: a tall thin box would be squashed beyond recognition.
        half_x = max(side_x, 0.6 * side_y) * 0.65
        half_y = max(side_y, 0.6 * side_x) * 0.65
        crop = (
            int(max(0, mid_x - half_x)),
            int(max(0, mid_y - half_y)),
            int(min(width, mid_x + half_x + 1)),
            int(min(height, mid_y + half_y + 1)),
        )
        if name not in found or found[name][0] < side_x * side_y:
            found[name] = (side_x * side_y, crop)
    common = ("person", "car", "chair", "handle", "cabinet door")
    names = sorted(found, key=lambda n: (n in common, -found[n][0]))
    return [(found[name][1], name) for name in names[:limit]]


def squash(image: Image.Image, side: int) -> U8:
    """The whole picture at side x side, uint8[side, side, 3], anti-aliased."""
    if image.size == (side, side):
        return np.asarray(image, np.uint8)
    shrinking = image.size[0] >= side and image.size[1] >= side
    method = Image.Resampling.BOX if shrinking else Image.Resampling.BILINEAR
    return np.asarray(image.resize((side, side), method), np.uint8)


def box_resize(image: U8, side: int = 96) -> U8:
    """The device's integer box average, exactly.

    image uint8[H, W, 3] -> uint8[side, side, 3]. Destination column x averages the source columns
    [x*W//side, max((x+1)*W//side, x*W//side + 1)), rows alike; value = (sum + n//2) // n.
    """
    height, width = image.shape[:2]
    table = np.zeros((height + 1, width + 1, image.shape[2]), np.int64)
    table[1:, 1:] = image.astype(np.int64).cumsum(0).cumsum(1)
    at = np.arange(side)
    x0, y0 = at * width // side, at * height // side
    x1 = np.maximum((at + 1) * width // side, x0 + 1)
    y1 = np.maximum((at + 1) * height // side, y0 + 1)
    total = (
        table[y1[:, None], x1[None]]
        - table[y0[:, None], x1[None]]
        - table[y1[:, None], x0[None]]
        + table[y0[:, None], x0[None]]
    )
    count = ((y1 - y0)[:, None] * (x1 - x0)[None])[..., None]
    return np.asarray((total + count // 2) // count, np.uint8)


def area_shares(source: int, side: int) -> NDArray[np.float32]:
    """float32[side, source]: how much each source pixel counts in each of fewer ones, by area."""
    edges, at = np.arange(side + 1) * (source / side), np.arange(source)
    covered = np.minimum(edges[1:, None], at + 1) - np.maximum(edges[:-1, None], at)
    return (covered.clip(min=0) * (side / source)).astype(np.float32)


def area_shrink(pixels: U8, side: int) -> U8:
    """Square pictures uint8[N, S, S, 3] at side x side, each pixel the mean of what it covers."""
    if pixels.shape[1] == side:
        return pixels
    share = area_shares(pixels.shape[1], side)
    rows = np.einsum("ij,njkc->nikc", share, pixels.astype(np.float32), optimize=True)
    small = np.einsum("ij,nkjc->nkic", share, rows, optimize=True)
    return np.rint(small).astype(np.uint8)

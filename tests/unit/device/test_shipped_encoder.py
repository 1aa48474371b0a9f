"""The shipped encoder, in C and in the simulated device: LiteRT's bytes, every one."""

import json
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import skimage
import sklearn.datasets
from kernel_library import ROOT, Kernels
from moteye.compiler import compile_with_report
from moteye_protocol.wire import CELL_BYTES
from PIL import Image
from reference import Reference, box_resize

MODEL = ROOT / "device" / "models" / "accurate" / "encoder.tflite"
CROPS = 100
DEVICE_CROPS = 12
SET_OF_100_BYTES = 6_554  # at 64 dimensions


@cache
def photos() -> list[npt.NDArray[np.uint8]]:
    """The photos that the installed packages carry, uint8[h, w, 3]."""
    folders = [
        Path(skimage.__file__).parent / "data",
        Path(sklearn.datasets.__file__).parent / "images",
    ]
    paths = sorted(
        path for folder in folders for path in folder.glob("*") if path.suffix in (".png", ".jpg")
    )
    images = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    large = [image for image in images if min(image.shape[:2]) >= 100]
    assert len(large) >= 4
    return large


def crops(seed: int, count: int) -> list[npt.NDArray[np.uint8]]:
    """Random rectangles of random photos, 8 pixels a side up to the whole photo."""
    rng = np.random.default_rng(seed)
    result = []
    for _ in range(count):
        photo = photos()[int(rng.integers(len(photos())))]
        height, width = (int(rng.integers(8, min(side, 640) + 1)) for side in photo.shape[:2])
        top = int(rng.integers(photo.shape[0] - height + 1))
        left = int(rng.integers(photo.shape[1] - width + 1))
        result.append(np.ascontiguousarray(photo[top : top + height, left : left + width]))
    return result


class Shipped:
    """The encoder three ways; `embed` is what LiteRT says about a frame."""

    def __init__(self, kernels: Kernels, model: Path = MODEL) -> None:
        tflite = model.read_bytes()
        self.pack, self.report = compile_with_report(tflite)
        self.model, self.reference = kernels.open(self.pack), Reference(tflite)

    def embed(self, frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
        _, height, width, _ = self.reference.shape
        small = box_resize(frame, width, height).astype(np.int16) - 128
        return self.reference.run(small.astype(np.int8))


@pytest.fixture(scope="session")
def shipped(each_kernels: Kernels) -> Shipped:
    return Shipped(each_kernels)


def test_encode_photo_crops_equals_reference(shipped: Shipped) -> None:
    for i, frame in enumerate(crops(1, CROPS)):
        np.testing.assert_array_equal(
            shipped.model.encode(frame), shipped.embed(frame), f"crop {i}"
        )


def test_the_fast_encoder_equals_its_reference(each_kernels: Kernels) -> None:
    fast = Shipped(each_kernels, MODEL.parents[1] / "fast" / "encoder.tflite")
    for i, frame in enumerate(crops(2, CROPS // 4)):
        np.testing.assert_array_equal(fast.model.encode(frame), fast.embed(frame), f"crop {i}")


def test_run_random_tensors_equals_reference(shipped: Shipped) -> None:
    rng = np.random.default_rng(2)
    for i in range(100):
        values = rng.integers(-128, 128, shipped.reference.shape, dtype=np.int8)
        np.testing.assert_array_equal(
            shipped.model.run(values), shipped.reference.run(values), f"{i}"
        )


def test_encode_in_micropython_equals_reference(
    shipped: Shipped, micropython: Path, tmp_path: Path
) -> None:
    frames = crops(3, DEVICE_CROPS)
    (tmp_path / "pack").write_bytes(shipped.pack)
    for i, frame in enumerate(frames):
        (tmp_path / str(i)).write_bytes(frame.tobytes())
    program = f"""
import json, vision
def load(name):
    with open({str(tmp_path)!r} + "/" + name, "rb") as f:
        return f.read()
encoder = vision.Encoder(load("pack"))
out = bytearray(encoder.out_bytes)
for i, (h, w) in enumerate({[frame.shape[:2] for frame in frames]}):
    encoder.encode(load(str(i)), w, h, out)
    print(json.dumps(list(out)))
"""
    result = subprocess.run(
        [str(micropython), "-X", "heapsize=8m", "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    got = [
        np.array(json.loads(line), np.uint8).view(np.int8) for line in result.stdout.splitlines()
    ]
    assert len(got) == DEVICE_CROPS
    for i, (embedding, frame) in enumerate(zip(got, frames, strict=True)):
        np.testing.assert_array_equal(embedding, shipped.embed(frame), f"crop {i}")


def test_shipped_encoder_fits_a_microcontroller(shipped: Shipped) -> None:
    # The figures of performance.md: RAM <= 200 KB, pack plus prototypes <= 892 KB of flash.
    assert shipped.report.arena_bytes <= 200_000
    assert shipped.report.pack_bytes + SET_OF_100_BYTES <= 892_000
    assert tuple(shipped.model.header.output_dims) == (1, 1, 1, 256 + 6 * 6 * CELL_BYTES)

"""Whether what a run left is whole: files that belong together, and an encoder for the device.

The device's engine, in the simulated device's MicroPython, must give what the reference kernels
give, byte for byte; every figure of the evaluation but ratios must be a number.
"""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from moteye.compiler import compile_with_report
from numpy.typing import NDArray

from .augment import box_resize
from .data import Photo, open_photo
from .encoder import Encoder
from .run import Paths

MICROPYTHON = Path(__file__).parents[2] / "build" / "firmware" / "unix" / "micropython"
PICTURES = 8
HEAP = "8m"
PROGRAM = """
import json, vision
def load(name):
    with open({folder!r} + "/" + name, "rb") as file:
        return file.read()
encoder = vision.Encoder(load("pack"))
out = bytearray(encoder.out_bytes)
for number, (height, width) in enumerate({sizes!r}):
    encoder.encode(load(str(number)), width, height, out)
    print(json.dumps(list(out)))
"""


class CheckError(ValueError):
    """What a run left cannot be used; the message says which file and why."""


def check(paths: Paths, photos: Sequence[Photo]) -> None:
    """Look at all files of a run. Raises CheckError."""
    files = (
        paths.encoder, paths.alignment, paths.words / "text.tflite",
        paths.words / "projection.npz", paths.space / "bank.npz",
        paths.space / "calibration.json", paths.bench,
    )  # fmt: skip
    missing = [str(file) for file in files if not file.is_file() or not file.stat().st_size]
    if missing:
        raise CheckError(f"missing or empty: {', '.join(missing)}")
    digest = hashlib.sha256(paths.encoder.read_bytes()).hexdigest()
    calibration = json.loads((paths.space / "calibration.json").read_text())
    if calibration["encoder_tflite_sha256"] != digest:
        raise CheckError(f"{paths.space}/calibration.json: of another encoder than {paths.encoder}")
    figures = json.loads(paths.bench.read_text())
    # A ratio to a measure that is 0, as after a few steps on few photos, is none.
    asked = [row for row in figures if row["unit"] != "ratio"]
    odd = [row["id"] for row in asked if not math.isfinite(row["value"])]
    if odd or not asked:
        raise CheckError(f"{paths.bench}: no number for {', '.join(odd) or 'anything'}")
    pack, report = compile_with_report(paths.encoder.read_bytes())
    step = max(1, len(photos) // PICTURES)
    frames = [np.asarray(open_photo(photo)) for photo in photos[::step][:PICTURES]]
    reference = Encoder(paths.encoder)
    wanted = np.stack([reference(box_resize(frame, reference.side)) for frame in frames])
    given = on_device(pack, frames)
    if given.shape != wanted.shape or (given != wanted).any():
        raise CheckError(f"{paths.encoder}: the device's engine gives other bytes than LiteRT")
    print(
        f"check: {len(files)} files, {len(figures)} figures; {len(frames)} pictures give equal "
        f"{wanted.shape[1]} bytes on the device's engine ({report.arena_bytes} bytes of arena)"
    )


def on_device(pack: bytes, frames: Sequence[NDArray[np.uint8]]) -> NDArray[np.int8]:
    """What a model pack gives for frames uint8[H, W, 3] in MicroPython: int8[N, ...].

    Raises CheckError where it is not built, or refuses the pack.
    """
    if not MICROPYTHON.is_file():
        raise CheckError(f"{MICROPYTHON} is not built: run `make firmware`")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pack").write_bytes(pack)
        for number, frame in enumerate(frames):
            (Path(folder) / str(number)).write_bytes(frame.tobytes())
        program = PROGRAM.format(folder=folder, sizes=[frame.shape[:2] for frame in frames])
        command = [str(MICROPYTHON), "-X", f"heapsize={HEAP}", "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CheckError(f"the device refuses the encoder: {done.stderr.strip()}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return np.array(rows, np.uint8).view(np.int8)

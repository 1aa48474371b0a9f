"""Whole model files: each compiles, and gives the reference's bytes on 20 inputs.

MOTEYE_TFLITE names a folder of `.tflite` files; without it, the networks of the device bench with
random weights stand in.
"""

import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from kernel_library import ROOT, Kernels, Model
from moteye.compiler import compile_with_report
from reference import Reference

sys.path.insert(0, str(ROOT / "tests" / "bench" / "device"))

from anchors import ANCHORS

INPUTS = 20


def _files() -> Iterator[tuple[str, bytes]]:
    folder = os.environ.get("MOTEYE_TFLITE")
    if folder is None:
        yield from ((name, build()) for name, build in ANCHORS.items())
        return
    paths = sorted(Path(folder).glob("*.tflite"))
    assert paths, f"MOTEYE_TFLITE={folder} holds no .tflite file"
    yield from ((path.name, path.read_bytes()) for path in paths)


def _reference(tflite: bytes, model: Model) -> Reference | None:
    """None where the reference itself refuses the file."""
    ends = (model.header.input_quant, model.header.output_quant)
    first, second = (struct.unpack("<fi", bytes(end)) for end in ends)
    try:
        return Reference(tflite, (first, second))
    except (RuntimeError, ValueError):
        return None


def test_every_model_file_equals_reference(each_kernels: Kernels) -> None:
    judged = 0
    for name, tflite in _files():
        pack, report = compile_with_report(tflite)
        model = each_kernels.open(pack)
        reference = _reference(tflite, model)
        rng = np.random.default_rng(len(tflite))
        shape = tuple(model.header.input_dims)
        for i in range(INPUTS if reference else 0):
            values = rng.integers(-128, 128, shape, dtype=np.int8)
            expected = reference.run(values)
            np.testing.assert_array_equal(model.run(values), expected, f"{name} {i} {report}")
            judged += 1
    assert judged >= INPUTS

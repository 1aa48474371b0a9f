"""The detection encoder's last map: where it is tapped, and how it is computed on the host.

The map is the output of the operator before the mean over positions: int8[P, C], P positions of C
channels. The encoder's file stays as it is; the device copies the map out while it runs.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from moteye.compiler import compile_model
from numpy.typing import NDArray

from ..towers import retarget

MEAN = 6
"""Kind of the record of a mean (device/kernels/FORMAT.md)."""
I8 = NDArray[np.int8]
U8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Tap:
    """The map's shape and quantisation: real = scale * (int8 - zero_point)."""

    positions: int
    channels: int
    scale: float
    zero_point: int


def _tapped(model: Any) -> int:
    """The tensor that the graph's last MEAN reads."""
    graph = model.subgraphs[0]
    mean = schema.BuiltinOperator.MEAN
    for at in range(len(graph.operators) - 1, 0, -1):
        op = graph.operators[at]
        if model.operatorCodes[op.opcodeIndex].builtinCode == mean:
            return int(op.inputs[0])
    raise ValueError("the encoder has no mean over positions, so no last map to read")


def find_tap(path: Path) -> Tap:
    """The tap of an encoder file. Raises ValueError where there is none."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    tensor = model.subgraphs[0].tensors[_tapped(model)]
    _, height, width, channels = (int(n) for n in tensor.shape)
    q = tensor.quantization
    return Tap(height * width, channels, float(q.scale[0]), int(q.zeroPoint[0]))


def pack_of(encoder: Path) -> bytes:
    """The .mpk beside an encoder's .tflite, whose hash a caption pack names.

    Raises ValueError where it is that of another encoder.
    """
    beside = encoder.with_suffix(".mpk")
    pack = beside.read_bytes()
    if compile_model(encoder.read_bytes()) != pack:
        raise ValueError(f"{beside} is not that of {encoder}; run `make encoders`")
    return pack


def records_behind(pack: bytes) -> int:
    """How many records of an encoder's pack (.mpk) follow the one that gives the map.

    Raises ValueError where no record before the last MEAN gives what it reads.
    """
    count, at = struct.unpack_from("<II", pack, 16)
    records = []
    for _ in range(count):
        kind, size, given, _, out = struct.unpack_from("<HHIII", pack, at)
        records.append((kind, given, out))
        at += size
    means = [number for number, (kind, _, _) in enumerate(records) if kind == MEAN]
    before = means[-1] if means else 0
    for number in range(before - 1, -1, -1):
        if records[number][2] == records[before][1]:
            return count - 1 - number
    raise ValueError("the pack has no mean over positions, so no last map to read")


class MapReader:
    """uint8[96, 96, 3] -> int8[P, C]. `reference` computes what the device does, bit for bit."""

    def __init__(self, path: Path, reference: bool = True) -> None:
        resolver = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
        raw = path.read_bytes()
        index = _tapped(schema.ModelT.InitFromPackedBuf(raw, 0))
        self._runner = Interpreter(
            model_content=retarget(raw, (index,)), num_threads=1,
            experimental_op_resolver_type=resolver,
        )  # fmt: skip
        self._runner.allocate_tensors()
        self._input = self._runner.get_input_details()[0]["index"]
        self._output = self._runner.get_output_details()[0]["index"]
        self.tap = find_tap(path)

    def __call__(self, pixels: U8) -> I8:
        """The map of one picture."""
        signed = (pixels.astype(np.int16) - 128).astype(np.int8)
        self._runner.set_tensor(self._input, signed[None])
        self._runner.invoke()
        out = np.array(self._runner.get_tensor(self._output), np.int8)
        return out.reshape(self.tap.positions, self.tap.channels)

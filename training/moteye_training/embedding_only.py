"""Put another embedding layer into an encoder file, and leave every other byte's meaning as it was.

The layer keeps its input's and its output's scale, so that what is joined to the output stays as it
is: an embedding counts by its direction, and its length is free. Cells and captions do not read it.
"""

from __future__ import annotations

from pathlib import Path

import flatbuffers
import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from .encoder import Encoder
from .export import Noting, Ranges
from .refine import BATCH, Maps, embed_maps
from .space import EMBEDDING
from .student import Student
from .text import F32

LAYER = "embedding"


@torch.no_grad()
def write_embedding(path: Path, student: Student, maps: Maps, pixels: NDArray[np.uint8]) -> None:
    """The student's embedding layer in place of the file's.

    Its largest values are those of `maps`; the mean that rounding shifts, seen on their `pixels`,
    is undone. Raises ValueError where the file has no such layer.
    """
    student = student.eval().cpu()
    ranges = Ranges()
    for some in torch.arange(len(maps)).split(BATCH):
        student.crown(Noting(ranges), maps[some])
    scale, _ = ranges.quantisation(LAYER, symmetric=True)
    weight, bias = student.head.weight.numpy(), student.head.bias.numpy()
    content = path.read_bytes()
    gain = output_scale(content) / scale
    path.write_bytes(with_layer(content, weight * gain, bias * gain))
    given = Encoder(path).many(pixels)[:, :EMBEDDING].astype(np.float32) * scale
    shift = embed_maps(student, maps).mean(0) - given.mean(0)
    path.write_bytes(with_layer(content, weight * gain, (bias + shift) * gain))


def output_scale(content: bytes) -> float:
    """What a step of the embedding is worth in the file."""
    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    return float(_layer(model)[3].quantization.scale[0])


def with_layer(content: bytes, weight: F32, bias: F32) -> bytes:
    """The file with weight float[256, 384] and bias float[256] rounded into its embedding layer."""
    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    taken, stored, offset, _ = _layer(model)
    shape = tuple(map(int, stored.shape))
    if shape != weight.shape:
        raise ValueError(f"{LAYER} of the file is {shape}, not {weight.shape}")
    steps = np.maximum(np.abs(weight).max(1), 1e-8) / 127
    rounded = np.rint(weight / steps[:, None]).astype(np.int8)
    unit = steps * float(taken.quantization.scale[0])
    model.buffers[stored.buffer].data = rounded.reshape(-1).view(np.uint8)
    stored.quantization.scale = steps.astype(np.float32)
    whole = np.rint(bias / unit).astype("<i4")
    model.buffers[offset.buffer].data = whole.view(np.uint8)
    offset.quantization.scale = unit.astype(np.float32)
    builder = flatbuffers.Builder(len(content) + 4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _layer(model: schema.ModelT) -> list[schema.TensorT]:
    """Input, weight, bias and output of the embedding layer; weight and bias are used once."""
    graph = model.subgraphs[0]
    for operator in graph.operators:
        found = [graph.tensors[at] for at in (*operator.inputs, *operator.outputs)]
        if found[-1].name.decode() == LAYER and len(found) == 4:
            return found
    raise ValueError(f"no layer {LAYER} in this encoder: another network")

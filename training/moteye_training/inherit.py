"""A student that goes on from an exported encoder: the file's int8 weights as floats again.

An exported layer has its BN folded in. Here each gets a BN that changes nothing on the pictures
handed in, so that training meets layers of the usual kind.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from torch import Tensor, nn

from .imagenet import IMAGENET_CLASSES
from .rows import to_input
from .student import Block, ConvBn, Student, renumbered

PARTS = ("expand", "depth", "project")


def file_layers(path: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Weight and bias, float32, of each layer of a file by its name, in PyTorch's order."""
    model = schema.ModelT.InitFromPackedBuf(bytearray(path.read_bytes()), 0)
    graph = model.subgraphs[0]

    def value(index: int, dtype: str) -> NDArray[np.float32]:
        tensor = graph.tensors[index]
        raw = np.asarray(model.buffers[tensor.buffer].data, np.uint8).tobytes()
        scale = np.asarray(tensor.quantization.scale, np.float32)
        along = [1] * len(tensor.shape)
        along[tensor.quantization.quantizedDimension] = -1
        return np.frombuffer(raw, dtype).reshape(tensor.shape) * scale.reshape(along)

    found = {}
    for op in graph.operators:
        name = graph.tensors[op.outputs[0]].name.decode()
        if len(op.inputs) == 3:
            weight, bias = value(op.inputs[1], "<i1"), value(op.inputs[2], "<i4")
            if weight.ndim == 4:
                one = weight.shape[0] == 1 and weight.shape[3] == len(bias)
                weight = weight.transpose((3, 0, 1, 2) if one else (0, 3, 1, 2))
            found[name] = torch.from_numpy(np.ascontiguousarray(weight)), torch.from_numpy(bias)
    return found


def file_structure(path: Path) -> dict[str, Any]:
    """What MCUNet's JSON says of its layers, as far as `make_student` reads it, from a file."""
    graph = schema.ModelT.InitFromPackedBuf(bytearray(path.read_bytes()), 0).subgraphs[0]
    layers: dict[str, tuple[list[int], int]] = {}
    sums = set()
    for op in graph.operators:
        name = graph.tensors[op.outputs[0]].name.decode()
        if name.endswith("/add"):
            sums.add(name)
        elif len(op.inputs) == 3:
            shape = [int(side) for side in graph.tensors[op.inputs[1]].shape]
            layers[name] = shape, int(getattr(op.builtinOptions, "strideH", 1))
    (channels, kernel, *_), stride = layers["stem"]
    blocks: list[dict[str, Any]] = []
    given = channels
    while f"block{len(blocks)}/depth" in layers:
        name = f"block{len(blocks)}"
        (_, side, _, middle), step = layers[f"{name}/depth"]
        (out, *_), _ = layers[f"{name}/project"]
        spec = {
            "in_channels": given,
            "out_channels": out,
            "kernel_size": side,
            "stride": step,
            "mid_channels": middle,
            "expand_ratio": middle / given if f"{name}/expand" in layers else 1,
        }
        added: dict[str, Any] | None = {} if f"{name}/add" in sums else None
        blocks.append({"mobile_inverted_conv": spec, "shortcut": added})
        given = out
    return {
        "first_conv": {"out_channels": channels, "kernel_size": kernel, "stride": stride},
        "blocks": blocks,
        "classifier": {"in_features": given, "out_features": IMAGENET_CLASSES},
    }


def named_layers(student: Student) -> dict[str, ConvBn]:
    """The student's layers by the names that they get in a file."""
    found = {"stem": student.stem}
    for number, block in enumerate(student.blocks):
        assert isinstance(block, Block)
        for part in PARTS:
            layer = getattr(block, part)
            if layer is not None:
                found[f"block{number}/{part}"] = layer
    return {**found, "wide": student.wide}


@torch.no_grad()
def inherit(
    student: Student, path: Path, without: tuple[int, ...], pixels: NDArray[np.uint8]
) -> Student:
    """Take a file's weights, those of the blocks `without` left out; pixels uint8[N, S, S, 3].

    A file that has as many blocks as the student lacks those already. Raises ValueError where the
    file is of another structure.
    """
    layers, stored = named_layers(student), file_layers(path)
    blocks = {
        f"blocks.{name[5:].replace('/', '.')}": both
        for name, both in stored.items()
        if name.startswith("block")
    }
    if len({name.split(".")[1] for name in blocks}) == len(student.blocks):
        without = ()
    for name, both in renumbered(blocks, without).items():  # type: ignore[arg-type, type-var]
        _, number, part = name.split(".")
        stored[f"block{number}/{part}"] = both  # type: ignore[assignment]
    for name, layer in layers.items():
        if name not in stored or stored[name][0].shape != layer.conv.weight.shape:
            raise ValueError(f"{path}: its layer {name} is not the student's: another structure")
        layer.conv.weight.copy_(stored[name][0])
        change_nothing(layer.bn, torch.zeros_like(layer.bn.weight), 1 - layer.bn.eps)
        layer.bn.bias.copy_(stored[name][1])
    student.head.weight.copy_(stored["embedding"][0])
    student.head.bias.copy_(stored["embedding"][1])
    normalise_layers(student, list(layers.values()), pixels)
    return student


def change_nothing(bn: nn.BatchNorm2d, mean: Tensor, variance: Tensor | float) -> None:
    """Let a BN with these statistics give what a BN without any would."""
    assert bn.running_mean is not None
    assert bn.running_var is not None
    bn.running_mean.copy_(mean)
    bn.running_var.copy_(torch.as_tensor(variance).expand_as(mean))
    bn.weight.copy_(torch.sqrt(bn.running_var + bn.eps))
    bn.bias.add_(mean)


def normalise_layers(student: Student, layers: list[ConvBn], pixels: NDArray[np.uint8]) -> None:
    """Give every BN the statistics of its input over the pictures; the function stays the same."""
    sums: dict[int, list[Tensor]] = {number: [] for number in range(len(layers))}

    def watch(number: int) -> object:
        def hook(_module: nn.Module, given: tuple[Tensor]) -> None:
            (x,) = given
            sums[number].append(torch.stack([x.mean((0, 2, 3)), (x**2).mean((0, 2, 3))]))

        return layers[number].bn.register_forward_pre_hook(hook)

    hooks = [watch(number) for number in range(len(layers))]
    student.eval()
    for some in np.array_split(pixels, max(1, len(pixels) // 128)):
        student(to_input(some, student.head.weight.device))
    for hook in hooks:
        hook.remove()  # type: ignore[attr-defined]
    for number, layer in enumerate(layers):
        mean, square = torch.stack(sums[number]).mean(0)
        change_nothing(layer.bn, mean, (square - mean**2).clamp(min=0))

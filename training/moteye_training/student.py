"""The student encoder: MCUNet's backbone with its ImageNet weights and an embedding head.

Padding is TFLite's SAME (a stride-2 layer pads more at the far side), so that the exported graph
needs no PAD operator. BN = batch normalisation; B = batch, C = channels.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .space import EMBEDDING

WIDE = 384
"""Channels of the last 1x1 layer, before pooling."""
MCUNET = "init/mcunet-320kb-1mb_imagenet"


def same_padding(kernel: int, stride: int) -> tuple[int, int]:
    """Padding before and after, as TFLite's SAME does for inputs that the stride divides."""
    total = kernel - stride
    return total // 2, total - total // 2


class ConvBn(nn.Module):
    """Convolution, BN and perhaps ReLU6, in one step of the exported graph."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int = 1, stride: int = 1, groups: int = 1,
        relu6: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.stride, self.relu6, self.depthwise = stride, relu6, groups > 1
        self.before, self.after = same_padding(kernel, stride)
        padding = self.before if self.before == self.after else 0
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        """Activations [B, C_out, H / stride, W / stride] of x [B, C_in, H, W]."""
        if self.before != self.after:
            x = F.pad(x, (self.before, self.after, self.before, self.after))
        x = self.bn(self.conv(x))
        return F.relu6(x) if self.relu6 else x

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight [C_out, C_in/groups, k, k] and bias [C_out] with the BN folded in."""
        assert self.bn.running_var is not None
        assert self.bn.running_mean is not None
        gain = self.bn.weight / torch.sqrt(self.bn.running_var + self.bn.eps)
        weight = self.conv.weight * gain[:, None, None, None]
        return weight.detach(), (self.bn.bias - self.bn.running_mean * gain).detach()


def folded_forward(layer: ConvBn, x: Tensor) -> Tensor:
    """The layer in evaluation mode with its BN folded, as the exported operator computes it."""
    weight, bias = layer.folded()
    padding: int | tuple[int, int] = layer.before
    if layer.before != layer.after:
        x, padding = F.pad(x, (layer.before, layer.after, layer.before, layer.after)), 0
    y = F.conv2d(x, weight, bias, layer.stride, padding, groups=layer.conv.groups)
    return F.relu6(y) if layer.relu6 else y


class Block(nn.Module):
    """Inverted residual block: expand, depthwise, project; added to its input where sizes agree."""

    def __init__(self, spec: dict[str, Any], residual: bool) -> None:
        super().__init__()
        c_in, c_out = spec["in_channels"], spec["out_channels"]
        middle = spec["mid_channels"] or round(c_in * spec["expand_ratio"])
        self.residual = residual
        self.expand = ConvBn(c_in, middle) if spec["expand_ratio"] != 1 else None
        self.depth = ConvBn(middle, middle, spec["kernel_size"], spec["stride"], groups=middle)
        self.project = ConvBn(middle, c_out, relu6=False)

    def forward(self, x: Tensor) -> Tensor:
        """Activations of the block."""
        y: Tensor = x if self.expand is None else self.expand(x)
        y = self.project(self.depth(y))
        return x + y if self.residual else y


@dataclass(frozen=True)
class Encoded:
    """What one pass gives: the raw embedding [B, 256] and auxiliary class logits [B, 1000]."""

    embedding: Tensor
    classes: Tensor


class Student(nn.Module):
    """pixels float[B, 3, 96, 96] in [-1, 127/128] -> raw embedding float[B, 256].

    `classifier` is ImageNet's, kept as a second thing to teach; it is not exported.
    """

    def __init__(self, structure: dict[str, Any]) -> None:
        super().__init__()
        first = structure["first_conv"]
        self.stem = ConvBn(3, first["out_channels"], first["kernel_size"], first["stride"])
        self.blocks = nn.Sequential(
            *(
                Block(b["mobile_inverted_conv"], b["shortcut"] is not None)
                for b in structure["blocks"]
            )
        )
        features = structure["classifier"]["in_features"]
        self.wide = ConvBn(features, WIDE)
        self.head = nn.Linear(WIDE, EMBEDDING)
        self.classifier = nn.Linear(features, structure["classifier"]["out_features"])
        self.frozen = 0

    def freeze(self, blocks: int) -> None:
        """Keep the stem and the first `blocks` blocks as they are, and run them folded.

        They hold 2 % of the weights and half of the time of a step: without gradients and BN they
        cost a tenth.
        """
        self.frozen = blocks
        for module in (self.stem, *list(self.blocks)[:blocks]):
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> Student:
        """As usual, but the frozen part stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            for module in (self.stem, *list(self.blocks)[: self.frozen]):
                module.eval()
        return self

    @torch.no_grad()
    def early(self, x: Tensor) -> Tensor:
        """The stem and the frozen blocks, folded."""
        x = folded_forward(self.stem, x)
        for block in list(self.blocks)[: self.frozen]:
            assert isinstance(block, Block)
            y = x if block.expand is None else folded_forward(block.expand, x)
            y = folded_forward(block.project, folded_forward(block.depth, y))
            x = x + y if block.residual else y
        return x

    def forward(self, x: Tensor) -> Encoded:
        """Embedding and auxiliary logits of a batch."""
        cells = self.early(x) if self.frozen else self.stem(x)
        cells = self.blocks[self.frozen :](cells)
        pooled = self.wide(cells).mean((2, 3))
        return Encoded(self.head(pooled), self.classifier(cells.mean((2, 3))))


def pretrained_state(models: Path) -> dict[str, Tensor]:
    """MCUNet's ImageNet weights under our names."""
    stored = torch.load(models / f"{MCUNET}.pth", map_location="cpu", weights_only=True)
    renames = (
        ("first_conv.", "stem."),
        (".mobile_inverted_conv.inverted_bottleneck.", ".expand."),
        (".mobile_inverted_conv.depth_conv.", ".depth."),
        (".mobile_inverted_conv.point_linear.", ".project."),
        ("classifier.linear.", "classifier."),
    )
    state = {}
    for name, value in stored["state_dict"].items():
        for theirs, ours in renames:
            name = name.replace(theirs, ours)
        state[name] = value
    return state


def make_student(models: Path, pretrained: bool = True) -> Student:
    """The student with the structure of the JSON file and, if asked, ImageNet weights."""
    structure = json.loads((models / f"{MCUNET}.json").read_text())
    student = Student(structure)
    if pretrained:
        result = student.load_state_dict(pretrained_state(models), strict=False)
        if result.unexpected_keys or any(
            not name.startswith(("wide.", "head.")) for name in result.missing_keys
        ):
            raise ValueError(f"weights do not fit the structure: {result}")
    return student

"""The student encoder: MCUNet's backbone with its ImageNet weights and an embedding head.

`accurate` sees 96 x 96 pixels with the whole backbone, `fast` 64 x 64 with fewer blocks; `plain`
and `mobilenet` have another backbone.

Padding is TFLite's SAME (a stride-2 layer pads more at the far side), so that the exported graph
needs no PAD operator. BN = batch normalisation; B = batch, C = channels.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .augment import area_shares
from .operating import Point
from .small_depthwise import LARGEST_SIDE, small_depthwise
from .space import EMBEDDING
from .steps import Folded, Steps

WIDE = 384
"""Channels of the last 1x1 layer, before pooling."""
T = TypeVar("T")
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
        x = self.bn(self.convolve(x, self.conv.weight))
        return F.relu6(x) if self.relu6 else x

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """The convolution alone, with a weight of the layer's shape."""
        if self.depthwise and x.shape[2] <= LARGEST_SIDE and x.device.type == "cpu":
            y = small_depthwise(x, weight, self.stride, self.before)
            return y if bias is None else y + bias[:, None, None]
        padding = self.before
        if self.before != self.after:
            x, padding = F.pad(x, (self.before, self.after, self.before, self.after)), 0
        return F.conv2d(x, weight, bias, self.stride, padding, groups=self.conv.groups)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight [C_out, C_in/groups, k, k] and bias [C_out] with the BN folded in."""
        assert self.bn.running_var is not None
        assert self.bn.running_mean is not None
        gain = self.bn.weight / torch.sqrt(self.bn.running_var + self.bn.eps)
        weight = self.conv.weight * gain[:, None, None, None]
        return weight, self.bn.bias - self.bn.running_mean * gain


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

    def walk(self, steps: Steps[T], name: str, x: T) -> T:
        """Step by step."""
        y = x if self.expand is None else steps.conv(f"{name}/expand", self.expand, x)
        y = steps.conv(f"{name}/depth", self.depth, y)
        y = steps.conv(f"{name}/project", self.project, y)
        return steps.add(f"{name}/add", x, y) if self.residual else y


@dataclass(frozen=True)
class Encoded:
    """What one pass gives: the raw embedding [B, 256] and auxiliary class logits [B, 1000]."""

    embedding: Tensor
    classes: Tensor


class Student(nn.Module):
    """pixels float[B, 3, S, S] in [-1, 127/128] -> raw embedding float[B, 256].

    Stem, blocks, a 1x1 layer of `wide` channels, mean, embedding. Pictures of more than `side`
    pixels are shrunk first. `classifier` is ImageNet's, a second thing to teach; it is not
    exported. A block has `walk`, as `Block` has.
    """

    def __init__(
        self, stem: ConvBn, blocks: Sequence[nn.Module], features: int, classes: int, side: int,
        wide: int = WIDE,
    ) -> None:  # fmt: skip
        super().__init__()
        self.side, self.frozen, self.wide_stays = side, 0, False
        self.stem, self.blocks = stem, nn.Sequential(*blocks)
        self.wide = ConvBn(features, wide)
        self.head = nn.Linear(wide, EMBEDDING)
        self.classifier = nn.Linear(features, classes)

    def freeze(self, blocks: int) -> None:
        """Keep the stem and the first `blocks` blocks as they are, and run them folded.

        One more than there are blocks keeps the 1x1 layer behind them, too: what is trained then
        is the embedding alone, which neither cells nor captions read.

        They hold 2 % of the weights and half of the time of a step: without gradients and BN they
        cost a tenth.
        """
        self.frozen = min(blocks, len(self.blocks))
        self.wide_stays = blocks > len(self.blocks)
        for module in self._kept():
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> Student:
        """As usual, but the frozen part stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            for module in self._kept():
                module.eval()
        return self

    def _kept(self) -> list[nn.Module]:
        """The parts that are not trained."""
        kept = [self.stem, *list(self.blocks)[: self.frozen]]
        return [*kept, self.wide] if self.wide_stays else kept

    @torch.no_grad()
    def early(self, x: Tensor) -> Tensor:
        """The stem and the frozen blocks, folded."""
        return self._trunk(Folded(), x, self.frozen)

    def _trunk(self, steps: Steps[T], x: T, blocks: int) -> T:
        x = steps.conv("stem", self.stem, x)
        for number, block in enumerate(list(self.blocks)[:blocks]):
            x = block.walk(steps, f"block{number}", x)  # type: ignore[operator]
        return x

    def walk(self, steps: Steps[T], x: T) -> tuple[T, T]:
        """Embedding and last cells of pictures of `side`, step by step."""
        cells = self._trunk(steps, x, len(self.blocks))
        return self.crown(steps, cells), cells

    def crown(self, steps: Steps[T], cells: T) -> T:
        """What stands behind the last cells: the embedding, step by step."""
        pooled = steps.mean("mean", steps.conv("wide", self.wide, cells))
        return steps.linear("embedding", self.head, pooled)

    def forward(self, x: Tensor) -> Encoded:
        """Embedding and auxiliary logits of a batch."""
        x = shrink(x, self.side)
        return self.late(self.early(x) if self.frozen else self.stem(x))

    def late(self, cells: Tensor) -> Encoded:
        """The same, from what stem and frozen blocks gave."""
        cells = self.blocks[self.frozen :](cells)
        pooled = self.wide(cells).mean((2, 3))
        return Encoded(self.head(pooled), self.classifier(cells.mean((2, 3))))


def shrink(x: Tensor, side: int) -> Tensor:
    """Pictures [B, 3, S, S] at side x side: each pixel the mean of what it covers, by area."""
    if x.shape[2] == side:
        return x
    share = torch.from_numpy(area_shares(x.shape[2], side)).to(x)
    small = share @ x @ share.T
    return small.contiguous(memory_format=torch.channels_last)


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


def renumbered(state: dict[str, Tensor], without: tuple[int, ...]) -> dict[str, Tensor]:
    """The whole backbone's state for one that lacks some blocks."""
    kept = {}
    for name, value in state.items():
        parts = name.split(".")
        if parts[0] == "blocks":
            if int(parts[1]) in without:
                continue
            parts[1] = str(int(parts[1]) - sum(block < int(parts[1]) for block in without))
        kept[".".join(parts)] = value
    return kept


def make_student(models: Path, point: Point, pretrained: bool = True) -> Student:
    """The student with the structure of the JSON file and, if asked, ImageNet weights.

    Raises ValueError for a block that cannot be left out, and for weights that do not fit.
    """
    if not point.pretrained:
        from .mobilenet import mobilenet_student
        from .plain import plain_student

        return {"plain": plain_student, "mobilenet": mobilenet_student}[point.network](point.side)
    structure = json.loads((models / f"{MCUNET}.json").read_text())
    needed = [n for n in point.without if structure["blocks"][n]["shortcut"] is None]
    if needed:
        raise ValueError(f"blocks {needed} change the size: nothing fits without them")
    first, last = structure["first_conv"], structure["classifier"]
    stem = ConvBn(3, first["out_channels"], first["kernel_size"], first["stride"])
    blocks = [
        Block(block["mobile_inverted_conv"], block["shortcut"] is not None)
        for n, block in enumerate(structure["blocks"])
        if n not in point.without
    ]
    student = Student(stem, blocks, last["in_features"], last["out_features"], point.side)
    if pretrained:
        state = renumbered(pretrained_state(models), point.without)
        result = student.load_state_dict(state, strict=False)
        if result.unexpected_keys or any(
            not name.startswith(("wide.", "head.")) for name in result.missing_keys
        ):
            raise ValueError(f"weights do not fit the structure: {result}")
    return student

"""What OverMod's blocks are made of: BN convolutions, GRN, dilated re-parameterised convolution.

BN = batch normalisation, B = batch, C = channels, H and W = rows and columns.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


def fold(weight: Tensor, bn: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight [C_out, …] and bias [C_out] of a convolution without bias with the BN behind it."""
    assert bn.running_var is not None
    assert bn.running_mean is not None
    gain = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    return weight * gain[:, None, None, None], bn.bias - bn.running_mean * gain


class ConvBn(nn.Module):
    """Convolution, BN and perhaps h-swish; one convolution once `merge` was called."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int = 1, stride: int = 1, groups: int = 1,
        dilation: int = 1, active: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv = nn.Conv2d(
            c_in, c_out, kernel, stride, padding, dilation, groups, bias=False
        )  # fmt: skip
        self.bn: nn.Module = nn.BatchNorm2d(c_out)
        self.act: nn.Module = nn.Hardswish() if active else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[B, C_out, H / stride, W / stride] of x [B, C_in, H, W]."""
        out: Tensor = self.act(self.bn(self.conv(x)))
        return out

    def merge(self) -> None:
        """Fold the BN into the convolution."""
        if isinstance(self.bn, nn.BatchNorm2d):
            weight, bias = fold(self.conv.weight, self.bn)
            self.conv.weight = nn.Parameter(weight.detach())
            self.conv.bias = nn.Parameter(bias.detach())
            self.bn = nn.Identity()


class DilatedRep(nn.Module):
    """A wide depthwise kernel beside dilated narrow ones, which `merge` makes one kernel of.

    After UniRepLKNet: each branch has a BN of its own; a dilated kernel is a wide one with holes.
    """

    BRANCHES = {3: (), 5: ((3, 1), (3, 2)), 7: ((5, 1), (3, 2), (3, 3))}
    """By the wide kernel's size: (size, dilation) of the others."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.channels, self.kernel = channels, kernel
        self.wide: nn.Module = ConvBn(channels, channels, kernel, groups=channels)
        self.others = nn.ModuleList(
            ConvBn(channels, channels, size, groups=channels, dilation=dilation)
            for size, dilation in self.BRANCHES[kernel]
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] of the same."""
        out: Tensor = self.wide(x)
        for other in self.others:
            out = out + other(x)
        return out

    @torch.no_grad()
    def merge(self) -> None:
        """One depthwise convolution with a bias instead of all branches; exact in real numbers."""
        if not isinstance(self.wide, ConvBn):
            return
        weight = self.wide.conv.weight.new_zeros(self.channels, 1, self.kernel, self.kernel)
        bias = weight.new_zeros(self.channels)
        for branch in (self.wide, *self.others):
            assert isinstance(branch, ConvBn)
            assert isinstance(branch.bn, nn.BatchNorm2d)
            small, added = fold(branch.conv.weight, branch.bn)
            weight += spread(small, int(branch.conv.dilation[0]), self.kernel)
            bias += added
        whole = nn.Conv2d(
            self.channels, self.channels, self.kernel, padding=self.kernel // 2,
            groups=self.channels, device=weight.device, dtype=weight.dtype,
        )  # fmt: skip
        whole.weight.copy_(weight)
        whole.bias.copy_(bias)  # type: ignore[union-attr]
        self.wide, self.others = whole, nn.ModuleList()


def spread(weight: Tensor, dilation: int, kernel: int) -> Tensor:
    """A dilated kernel [C, 1, k, k] as the wide one [C, 1, kernel, kernel] that equals it."""
    size = dilation * (weight.shape[2] - 1) + 1
    holed = weight.new_zeros(*weight.shape[:2], size, size)
    holed[:, :, ::dilation, ::dilation] = weight
    edge = (kernel - size) // 2
    return F.pad(holed, (edge,) * 4)


class Grn(nn.Module):
    """Global response normalisation (ConvNeXt V2): channels weigh by their share of it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] of the same."""
        norm = torch.sqrt(x.square().sum((2, 3), keepdim=True) + 1e-12)
        share = norm / (norm.mean(1, keepdim=True) + 1e-6)
        return self.gamma * (x * share) + self.beta + x


def merged(model: nn.Module) -> nn.Module:
    """The model in evaluation mode with every BN and every branch folded away, in place."""
    model.eval()
    for module in list(model.modules()):
        if isinstance(module, DilatedRep):
            module.merge()
    for module in list(model.modules()):
        if isinstance(module, ConvBn):
            module.merge()
    return model

"""OverMod's blocks: static ones of OverNet, dynamic ones of ModNet, and what guides the latter.

No squeeze-and-excitation anywhere; what depends on the picture is an added map (GSM) and the
share of each depthwise kernel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .layers import ConvBn, DilatedRep, Grn


class ResidualDepthwise(nn.Module):
    """x plus a 3x3 depthwise convolution of it; its BN stays apart from the added x."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = ConvBn(channels, channels, 3, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] of the same."""
        return x + self.conv(x)


class ConvFfn(nn.Module):
    """Convolutional feed-forward: widen, residual 3x3 depthwise, GRN, narrow again."""

    def __init__(self, channels: int, ratio: float) -> None:
        super().__init__()
        hidden = round(channels * ratio)
        self.widen = ConvBn(channels, hidden, active=True)
        self.mix = ResidualDepthwise(hidden)
        self.grn = Grn(hidden)
        self.narrow = ConvBn(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] of the same."""
        out: Tensor = self.narrow(self.grn(self.mix(self.widen(x))))
        return out


class LayerScale(nn.Module):
    """A learnt gain of each channel of a residual branch, small at first."""

    def __init__(self, channels: int, start: float = 0.1) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.full((1, channels, 1, 1), start))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] of the same."""
        return x * self.gain


class StaticBlock(nn.Module):
    """OverNet's block: residual 3x3 depthwise, re-parameterised wide kernel, feed-forward."""

    def __init__(self, channels: int, kernel: int, ratio: float) -> None:
        super().__init__()
        self.near = ResidualDepthwise(channels)
        self.far = DilatedRep(channels, kernel)
        self.ffn = ConvFfn(channels, ratio)
        self.scale = LayerScale(channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] of the same."""
        x = self.near(x)
        out: Tensor = x + self.scale(self.ffn(self.far(x)))
        return out


class Gsm(nn.Module):
    """Global spatial modulation: the context prior as a map that is added, without bounds.

    Adaptive average pooling to the map's size, pointwise convolution, h-swish.
    """

    def __init__(self, context: int, channels: int) -> None:
        super().__init__()
        self.point = nn.Conv2d(context, channels, 1)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """X [B, C, H, W] plus what context [B, C', H', W'] says of each place."""
        pooled = F.adaptive_avg_pool2d(context, x.shape[2:])  # type: ignore[arg-type]
        return x + F.hardswish(self.point(pooled))


class DynamicConv(nn.Module):
    """Depthwise kernels mixed as the picture asks: sum over k of share_k(context) * kernel_k.

    The mixture is applied to the kernels' outputs, which is the same since convolution is linear:
    every convolution has constant weights, as a micro-NPU needs. The last kernel is the widest.
    """

    def __init__(self, channels: int, context: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        self.kernels = nn.ModuleList(DilatedRep(channels, k) for k in kernels)
        self.share = nn.ModuleList(nn.Conv2d(context, channels, 1) for _ in kernels)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """[B, C, H, W] of x and context [B, C', H', W']."""
        whole = F.adaptive_avg_pool2d(context, (1, 1))
        mixed = [
            kernel(x) * torch.sigmoid(share(whole))
            for kernel, share in zip(self.kernels, self.share, strict=True)
        ]
        out = mixed[0]
        for other in mixed[1:]:
            out = out + other
        return out


class DynamicBlock(nn.Module):
    """ModNet's block: residual 3x3 depthwise, GSM, dynamic convolution, feed-forward."""

    def __init__(self, channels: int, context: int, kernels: tuple[int, ...], ratio: float) -> None:
        super().__init__()
        self.near = ResidualDepthwise(channels)
        self.gsm = Gsm(context, channels)
        self.far = DynamicConv(channels, context, kernels)
        self.ffn = ConvFfn(channels, ratio)
        self.scale = LayerScale(channels)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """[B, C, H, W] of x and context [B, C', H', W']."""
        x = self.gsm(self.near(x), context)
        out: Tensor = x + self.scale(self.ffn(self.far(x, context)))
        return out

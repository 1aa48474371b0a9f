"""Depthwise convolutions of small maps as one matrix product a channel.

PyTorch's depthwise kernels on a processor take a long time over maps of few cells: their backward
passes on 4 x 4 and 2 x 2 cells were half of a training step. On so few cells a channel's
convolution is a small dense matrix, and a batch of matrix products does both directions. The
values are those of the convolution, in another order of summing. B = batch, C = channels,
n = cells in, o = cells out.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

LARGEST_SIDE = 6
"""Cells a side up to which this is faster (8 x 8 was not; 6 x 6 cells take a quarter of a step less
at 96 pixels)."""


@lru_cache
def taps(side: int, kernel: int, stride: int, before: int) -> Tensor:
    """int64[n * o]: which tap of the kernel leads from a cell to an output; `kernel`² for none."""
    out = side // stride
    at, to = torch.arange(side), torch.arange(out)
    offset = at[:, None] - to[None] * stride + before
    inside = (offset >= 0) & (offset < kernel)
    both = inside[:, None, :, None] & inside[None, :, None, :]
    tap = offset[:, None, :, None] * kernel + offset[None, :, None, :]
    return torch.where(both, tap, kernel * kernel).reshape(-1)


class _Products(torch.autograd.Function):
    """x [C, B, n] times m [C, n, o]; both directions on contiguous memory, as the kernels want."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, m: Tensor) -> Tensor:
        ctx.save_for_backward(x, m)
        return torch.bmm(x, m)

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> tuple[Tensor, Tensor]:
        x, m = ctx.saved_tensors
        gradient = given[0].contiguous()
        return torch.bmm(gradient, m.transpose(1, 2)), torch.bmm(x.transpose(1, 2), gradient)


def small_depthwise(x: Tensor, weight: Tensor, stride: int, before: int) -> Tensor:
    """Depthwise convolution of x [B, C, S, S] with weight [C, 1, k, k], padded as SAME does.

    `before` cells of padding stand before the first; the stride divides S.
    """
    batch, channels, side, _ = x.shape
    kernel, out = weight.shape[2], side // stride
    padded = torch.cat([weight.reshape(channels, -1), weight.new_zeros(channels, 1)], 1)
    at = taps(side, kernel, stride, before).to(x.device)
    matrices = padded.index_select(1, at).reshape(channels, side * side, out * out)
    cells = x.permute(1, 0, 2, 3).contiguous().reshape(channels, batch, side * side)
    y: Tensor = _Products.apply(cells, matrices)  # type: ignore[no-untyped-call]
    y = y.reshape(channels, batch, out, out).permute(1, 0, 2, 3)
    return y.contiguous(memory_format=torch.channels_last)

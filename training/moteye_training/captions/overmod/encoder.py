"""OverMod: OverNet glances at the whole picture, ModNet looks again, guided by what that showed.

After µVLM (CVPR 2026), which follows OverLoCK: OverNet's fourth stage is the context prior and
carries an auxiliary classifier while training; ModNet begins at OverNet's third stage.
B = batch, S = pixels a side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ..run import Learner
from .blocks import DynamicBlock, StaticBlock
from .layers import ConvBn
from .sizes import CLASSES, ENCODERS, EncoderSize


@dataclass
class Stages:
    """Maps of one pass, [B, C, H, W]: 1/8 and 1/16 (static), the prior 1/32, ModNet's two."""

    second: Tensor
    third: Tensor
    context: Tensor
    guided: Tensor
    last: Tensor


class OverMod(Learner):
    """pixels float[B, 3, S, S] in [-1, 1] -> class logits of ModNet and, in training, OverNet."""

    def __init__(self, size: EncoderSize, classes: int = CLASSES) -> None:
        super().__init__()
        self.size = size
        c1, c2, c3, c4 = size.channels
        self.stem = nn.Sequential(
            ConvBn(3, c1 // 2, 3, 2, active=True), ConvBn(c1 // 2, c1, 3, 2, active=True)
        )
        self.over = nn.ModuleList(
            nn.Sequential(*(StaticBlock(c, k, size.ratio) for _ in range(depth)))
            for c, k, depth in zip(size.channels, size.kernel, size.over, strict=True)
        )
        self.down = nn.ModuleList(
            ConvBn(a, b, 3, 2) for a, b in ((c1, c2), (c2, c3), (c3, c4), (c3, c4))
        )
        self.mod = nn.ModuleList(
            nn.ModuleList(DynamicBlock(c, c4, size.mixed, size.ratio) for _ in range(depth))
            for c, depth in zip((c3, c4), size.mod, strict=True)
        )
        self.head = nn.Linear(c4, classes)
        self.auxiliary: nn.Linear | None = nn.Linear(c4, classes)

    def about(self) -> dict[str, Any]:
        """The size's name is enough to build it again."""
        return {"encoder": next(name for name, size in ENCODERS.items() if size == self.size)}

    def stages(self, x: Tensor) -> Stages:
        """All maps of a batch of pictures."""
        first = self.over[0](self.stem(x))
        second = self.over[1](self.down[0](first))
        third = self.over[2](self.down[1](second))
        context = self.over[3](self.down[2](third))
        guided = third
        for block in self.mod[0]:  # type: ignore[union-attr]
            guided = block(guided, context)
        last = self.down[3](guided)
        for block in self.mod[1]:  # type: ignore[union-attr]
            last = block(last, context)
        return Stages(second, third, context, guided, last)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits [B, classes] of ModNet's end, and of the prior where there is such a head."""
        maps = self.stages(x)
        logits: Tensor = self.head(maps.last.mean((2, 3)))
        if self.auxiliary is None:
            return logits, None
        return logits, self.auxiliary(maps.context.mean((2, 3)))


class Fusion(nn.Module):
    """Maps of several stages on the grid of the last, side by side or through blocks, [B, P, C].

    Without `blocks` the maps are joined channel by channel, and the decoder's own first product
    mixes them; with blocks they are brought to `fused` channels and pass static blocks.
    """

    def __init__(self, size: EncoderSize) -> None:
        super().__init__()
        _, c2, c3, c4 = size.channels
        self.joined = c2 + c3 + 2 * c4
        self.channels = size.fused if size.fusion else self.joined
        self.mix: nn.Module = nn.Identity()
        if size.fusion:
            self.mix = nn.Sequential(
                ConvBn(self.joined, size.fused),
                *(StaticBlock(size.fused, size.kernel[3], size.ratio) for _ in range(size.fusion)),
            )

    def forward(self, maps: Stages) -> Tensor:
        """float[B, P, C] of one pass."""
        grid = maps.last.shape[2:]
        parts = [
            F.adaptive_avg_pool2d(part, grid)  # type: ignore[arg-type]
            for part in (maps.second, maps.guided)
        ]
        joined = torch.cat((*parts, maps.context, maps.last), 1)
        out: Tensor = self.mix(joined)
        return out.flatten(2).transpose(1, 2)


class CaptionEncoder(nn.Module):
    """OverMod without its classifiers, and the fusion: pixels float[B, 3, S, S] -> [B, P, C].

    `frozen`: OverMod stays as it is, statistics of its BN included, and only the fusion learns.
    """

    def __init__(self, encoder: OverMod, frozen: bool = False) -> None:
        super().__init__()
        self.encoder, self.frozen = encoder, frozen
        self.fusion = Fusion(encoder.size)
        if frozen:
            encoder.requires_grad_(False)

    def train(self, mode: bool = True) -> CaptionEncoder:
        """As usual, but a frozen OverMod stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """The maps that a decoder reads."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            maps = self.encoder.stages(x)
        out: Tensor = self.fusion(maps)
        return out

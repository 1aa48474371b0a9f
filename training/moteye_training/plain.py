"""A student of plain convolutions, for accelerators without depthwise ones (MAX78000).

1x1 and 3x3 at stride 1, BN, ReLU6; the largest of each 2 x 2 in front of some. No layer adds to its
input. Weights begin at random: no pretrained network is of this form.
"""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .imagenet import IMAGENET_CLASSES
from .operating import PLAIN_LAYERS, PLAIN_STEM, PLAIN_WIDE, Layer
from .steps import Steps
from .student import ConvBn, Student

T = TypeVar("T")


class PlainBlock(nn.Module):
    """Pooling, if any, and a convolution."""

    def __init__(self, c_in: int, layer: Layer) -> None:
        super().__init__()
        self.pool = layer.pool
        self.conv = ConvBn(c_in, layer.channels, layer.kernel)

    def forward(self, x: Tensor) -> Tensor:
        """Activations of the layer."""
        y: Tensor = self.conv(F.max_pool2d(x, 2) if self.pool else x)
        return y

    def walk(self, steps: Steps[T], name: str, x: T) -> T:
        """Step by step."""
        return steps.conv(name, self.conv, steps.pool(f"{name}/pool", x) if self.pool else x)


def plain_student(side: int) -> Student:
    """The student with random weights."""
    channels = [PLAIN_STEM, *(layer.channels for layer in PLAIN_LAYERS)]
    blocks = [PlainBlock(c, layer) for c, layer in zip(channels, PLAIN_LAYERS, strict=False)]
    return Student(
        ConvBn(3, PLAIN_STEM, 3), blocks, channels[-1], IMAGENET_CLASSES, side, PLAIN_WIDE
    )

"""What a student is made of, step by step, for all that walks through it.

`Student.walk` names each operator of the exported graph once; running it folded, noting ranges,
imitating int8 and writing the file are the same walk with other steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

if TYPE_CHECKING:
    from .student import ConvBn

T = TypeVar("T")


class Steps(Protocol[T]):
    """The operators, over values of type T: tensors of a batch, or of a graph."""

    def conv(self, name: str, layer: ConvBn, x: T) -> T:
        """Convolution with its BN folded, and perhaps ReLU6."""
        ...

    def add(self, name: str, x: T, y: T) -> T:
        """Sum of two of one shape."""
        ...

    def pool(self, name: str, x: T) -> T:
        """The largest of each 2 x 2."""
        ...

    def mean(self, name: str, x: T) -> T:
        """Over height and width."""
        ...

    def linear(self, name: str, layer: nn.Linear, x: T) -> T:
        """The embedding."""
        ...


class Folded:
    """A batch through the layers as the exported operators compute them, in float."""

    def conv(self, name: str, layer: ConvBn, x: Tensor) -> Tensor:
        """Convolution with its BN folded."""
        y = layer.convolve(x, *layer.folded())
        return F.relu6(y) if layer.relu6 else y

    def add(self, name: str, x: Tensor, y: Tensor) -> Tensor:
        """Sum."""
        return x + y

    def pool(self, name: str, x: Tensor) -> Tensor:
        """The largest of each 2 x 2."""
        return F.max_pool2d(x, 2)

    def mean(self, name: str, x: Tensor) -> Tensor:
        """Over height and width."""
        return x.mean((2, 3))

    def linear(self, name: str, layer: nn.Linear, x: Tensor) -> Tensor:
        """The embedding."""
        y: Tensor = layer(x)
        return y

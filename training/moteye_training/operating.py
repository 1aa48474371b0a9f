"""The operating points: what the student of each is made of. No PyTorch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """An operating point: pixels a side, and the blocks of MCUNet that are left out.

    Those add to their own input, so that what stands behind fits without them. `frozen` of the
    blocks keep the weights that they begin with.
    """

    side: int
    without: tuple[int, ...] = ()
    frozen: int = 5
    network: str = "mcunet"
    """Of the others, `plain` (plain convolutions alone) and `mobilenet`, all begins at random."""

    @property
    def pretrained(self) -> bool:
        """Whether there are ImageNet weights of the network."""
        return self.network == "mcunet"


POINTS = {
    "accurate": Point(96),
    "fast": Point(64, (3, 4), frozen=2),
    "max78000": Point(64, frozen=0, network="plain"),
    "mobilenetv2": Point(96, frozen=0, network="mobilenet"),
}
SHIPPED = ("accurate", "fast")
"""Those whose files are committed."""

PLAIN_STEM, PLAIN_WIDE = 16, 256


@dataclass(frozen=True)
class Layer:
    """A plain convolution: channels that it gives, kernel, and whether a pooling is in front."""

    channels: int
    kernel: int = 3
    pool: bool = False


PLAIN_LAYERS = (
    Layer(32, pool=True),
    Layer(64, pool=True),
    Layer(64, pool=True),
    Layer(128),
    Layer(64, 1),
    Layer(128),
    Layer(64, 1, pool=True),
    Layer(128),
)
"""The plain student behind its stem: 64 x 64 pixels become 4 x 4 cells. With stem, 1x1 to
PLAIN_WIDE and the embedding they take all but a few of the accelerator's kernels."""

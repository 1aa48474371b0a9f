"""MobileNetV2 at a width of .35 as a student with random weights, to compare MCUNet's with.

Source: Sandler et al., MobileNetV2 (2018), table 2; its last 1x1 layer is the student's `wide`.
"""

from __future__ import annotations

from .imagenet import IMAGENET_CLASSES
from .student import Block, ConvBn, Student

WIDTH = 0.35
STEM = 32
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, blocks, stride of the first one."""


def channels(whole: int) -> int:
    """Channels at WIDTH: a multiple of 8, at least 8, at most a tenth less than asked."""
    wanted = whole * WIDTH
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * wanted else rounded + 8


def mobilenet_student(side: int) -> Student:
    """The student with random weights."""
    stem = c_in = channels(STEM)
    blocks = []
    for expansion, whole, count, first_stride in STAGES:
        for number in range(count):
            stride, c_out = first_stride if number == 0 else 1, channels(whole)
            spec = {
                "in_channels": c_in, "out_channels": c_out, "kernel_size": 3, "stride": stride,
                "expand_ratio": expansion, "mid_channels": None,
            }  # fmt: skip
            blocks.append(Block(spec, residual=stride == 1 and c_in == c_out))
            c_in = c_out
    return Student(ConvBn(3, stem, 3, 2), blocks, c_in, IMAGENET_CLASSES, side)

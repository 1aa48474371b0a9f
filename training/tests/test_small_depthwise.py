"""The fast form of depthwise convolutions gives what PyTorch's gives, both ways."""

import pytest
import torch
from moteye_training.small_depthwise import small_depthwise
from moteye_training.student import same_padding
from torch.nn import functional as F


@pytest.mark.parametrize("side", [2, 4, 6])
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_values_and_gradients_are_the_convolutions(side, kernel, stride):
    torch.manual_seed(0)
    before, after = same_padding(kernel, stride)
    x = torch.randn(3, 5, side, side, requires_grad=True)
    weight = torch.randn(5, 1, kernel, kernel, requires_grad=True)
    padded = F.pad(x, (before, after, before, after))
    wanted = F.conv2d(padded, weight, None, stride, groups=5)
    given = small_depthwise(x, weight, stride, before)
    gradient = torch.randn_like(wanted)
    torch.testing.assert_close(given, wanted)
    for one, other in zip(
        torch.autograd.grad(given, (x, weight), gradient),
        torch.autograd.grad(wanted, (x, weight), gradient),
        strict=True,
    ):
        torch.testing.assert_close(one, other)

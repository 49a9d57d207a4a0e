"""What the references do where a number leaves the dtype's range: the kernels' twins are in csrc/math/scalar_math.h.

The limits that every backend keeps to: a value or gradient of finite input is the formula's in real numbers, infinite
past the dtype's range and never NaN where there is a limit; a zero incoming gradient gives zero, whatever the slope.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from deepgen_fast.tracing import call


def exp_factors(x: Tensor) -> tuple[Tensor, Tensor]:
    """e^x in two factors, finite and not zero: 0 times both is 0, and what is finite comes out though e^x is not."""
    bound = call(math.log, call(torch.finfo, x.dtype).max) - 1.7228390520683  # 87 in float32, as in the kernels
    usual = x.clamp(-bound, bound)
    return torch.exp(usual), torch.exp((x - usual).clamp(-bound, bound))


def weighted(grad: Tensor, slope: Tensor) -> Tensor:
    """slope times an incoming gradient; a zero one gives zero, whatever the slope.

    Differentiable by both: a slope that is finite stays the derivative by a gradient that is zero.
    """
    return grad * torch.where((grad == 0) & ~torch.isfinite(slope), 0.0, slope)

"""Gaussian log-likelihood of one pixel: the Triton twin of csrc/ops/gaussian_log_likelihood/math.h."""

from __future__ import annotations

import triton
import triton.language as tl

from deepgen_fast.ops.triton_math import exp_finite

_LOG_TWO_PI = tl.constexpr(1.8378770664093453)


@triton.jit
def gaussian_precision(logvar):
    """1 / sigma^2, finite and positive: neither 0 * inf nor inf * 0 arises from finite input. Not 1 / sigma
    squared, which would double the exponential's error."""
    return exp_finite(-logvar)


@triton.jit
def gaussian_value(offset, scaled, logvar):
    """log N(target; mean, sigma^2) = -(log 2 pi + logvar + offset scaled) / 2, offset = target - mean, scaled =
    offset / sigma^2 (13.18)."""
    return tl.fma(offset, scaled, logvar + _LOG_TWO_PI) * -0.5


@triton.jit
def gaussian_unit_value(offset):
    """gaussian_value for unit variance (13.28, with its constant)."""
    return tl.fma(offset, offset, _LOG_TWO_PI) * -0.5


@triton.jit
def gaussian_logvar_slope(offset, scaled):
    """d/d logvar = (offset scaled - 1) / 2; d/d mean is ``scaled`` itself."""
    return tl.fma(offset, scaled, -1.0) * 0.5


@triton.jit
def gaussian_terms(mean, target, logvar):
    """(value, d/d mean, d/d target, d/d logvar) of one pixel; what a kernel does not use is not compiled."""
    offset = target - mean
    if logvar is None:
        return gaussian_unit_value(offset), offset, -offset, 0.0
    else:
        scaled = offset * gaussian_precision(logvar)
        return gaussian_value(offset, scaled, logvar), scaled, -scaled, gaussian_logvar_slope(offset, scaled)

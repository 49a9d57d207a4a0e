"""Gaussian log-likelihood of one pixel: the Triton twin of csrc/ops/gaussian_log_likelihood/math.h."""

from __future__ import annotations

import triton
import triton.language as tl

from deepgen_fast.ops.triton_math import exp_finite

_LOG_TWO_PI = tl.constexpr(1.8378770664093453)


@triton.jit
def gaussian_inverse_std(logvar):
    """1 / sigma, finite and positive: neither 0 * inf nor inf * 0 arises from finite input."""
    return exp_finite(logvar * -0.5)


@triton.jit
def gaussian_value(scaled, logvar):
    """log N(target; mean, sigma^2) = -(log 2 pi + logvar + scaled^2) / 2, scaled = (target - mean) / sigma
    (13.18)."""
    return tl.fma(scaled, scaled, logvar + _LOG_TWO_PI) * -0.5


@triton.jit
def gaussian_unit_value(offset):
    """gaussian_value for unit variance (13.28, with its constant)."""
    return tl.fma(offset, offset, _LOG_TWO_PI) * -0.5


@triton.jit
def gaussian_logvar_slope(scaled):
    """d/d logvar = (scaled^2 - 1) / 2."""
    return tl.fma(scaled, scaled, -1.0) * 0.5


@triton.jit
def gaussian_terms(mean, target, logvar):
    """(value, d/d mean, d/d target, d/d logvar) of one pixel; what a kernel does not use is not compiled."""
    offset = target - mean
    if logvar is None:
        return gaussian_unit_value(offset), offset, -offset, 0.0
    else:
        inverse_std = gaussian_inverse_std(logvar)
        scaled = offset * inverse_std
        mean_slope = scaled * inverse_std
        return gaussian_value(scaled, logvar), mean_slope, -mean_slope, gaussian_logvar_slope(scaled)

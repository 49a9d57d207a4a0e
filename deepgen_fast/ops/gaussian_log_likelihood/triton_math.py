"""Gaussian log-likelihood of one pixel: the Triton twin of csrc/ops/gaussian_log_likelihood/math.h."""

from __future__ import annotations

import triton
import triton.language as tl

from deepgen_fast.ops.triton_math import exp_factors

_LOG_TWO_PI = tl.constexpr(1.8378770664093453)


@triton.jit
def gaussian_precision(logvar):
    """1 / sigma^2 in two factors, so that its product with an offset overflows or vanishes only where that is the
    truth. Not 1 / sigma squared, which would double the exponential's error."""
    return exp_factors(-logvar)


@triton.jit
def gaussian_value(offset, one, two, logvar):
    """log N(target; mean, sigma^2) = -(log 2 pi + logvar + offset^2 / sigma^2) / 2, offset = target - mean
    (13.18). The square decides where it overflows: logvar = -inf is no help to a target off the mean."""
    square = (offset * one) * (offset * two)
    value = tl.fma(offset * one, offset * two, logvar + _LOG_TWO_PI) * -0.5
    return tl.where(square < float("inf"), value, -square)


@triton.jit
def gaussian_unit_value(offset):
    """gaussian_value for unit variance (13.28, with its constant)."""
    return tl.fma(offset, offset, _LOG_TWO_PI) * -0.5


@triton.jit
def gaussian_mean_slope(offset, one, two):
    """d/d mean = offset / sigma^2; d/d target is its negative."""
    return offset * one * two


@triton.jit
def gaussian_logvar_slope(offset, one, two):
    """d/d logvar = (offset^2 / sigma^2 - 1) / 2."""
    return tl.fma(offset * one, offset * two, -1.0) * 0.5


@triton.jit
def gaussian_terms(mean, target, logvar):
    """(value, d/d mean, d/d target, d/d logvar) of one pixel; what a kernel does not use is not compiled."""
    offset = target - mean
    if logvar is None:
        return gaussian_unit_value(offset), offset, -offset, 0.0
    else:
        one, two = gaussian_precision(logvar)
        slope = gaussian_mean_slope(offset, one, two)
        return gaussian_value(offset, one, two, logvar), slope, -slope, gaussian_logvar_slope(offset, one, two)

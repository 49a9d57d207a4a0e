"""Reparameterization and Gaussian KL of one element: the Triton twin of csrc/ops/reparameterize_kl/math.h."""

from __future__ import annotations

import triton
import triton.language as tl

from deepgen_fast.ops.triton_math import (
    divide,
    exp,
    exp_factors,
    exp_finite,
    largest_finite,
    log,
    log1p_unit,
    positive_part,
    reciprocal_unit,
)

LOGVAR = tl.constexpr(0)
STD = tl.constexpr(1)
PRE_SOFTPLUS = tl.constexpr(2)


@triton.jit
def softplus(x):
    """log(1 + e^x)."""
    return positive_part(x) + log1p_unit(exp(-tl.abs(x)))


@triton.jit
def sigmoid(x):
    """1 / (1 + e^-x), without loss for negative x."""
    decay = exp(-tl.abs(x))
    inverse = reciprocal_unit(decay + 1.0)
    return tl.where(x < 0.0, decay * inverse, inverse)


@triton.jit
def log_softplus(x, softplus_x):
    """log softplus(x): far below 0, where softplus(x) is e^x and in the end 0, x - e^x / 2; finite for finite x."""
    return tl.where(x < -20.0, tl.fma(softplus_x, -0.5, x), log(softplus_x))


@triton.jit
def standard_deviation(scale, KIND: tl.constexpr):
    """sigma from log-variance, itself, or a pre-activation (13.10)."""
    if KIND == LOGVAR:
        return exp(scale * 0.5)
    elif KIND == STD:
        return scale
    else:
        return softplus(scale)


@triton.jit
def expand_scale(scale, KIND: tl.constexpr):
    """(sigma, sigma^2, log sigma^2) of one element of the scale tensor."""
    std = standard_deviation(scale, KIND)
    if KIND == LOGVAR:
        return std, exp(scale), scale
    elif KIND == STD:
        return std, std * std, log(std) * 2.0
    else:
        return std, std * std, log_softplus(scale, std) * 2.0


@triton.jit
def reparameterize(mean, std, scale, noise):
    """mean + std * noise (13.27); a zero draw stays at the mean even where std overflowed, so finite input
    never gives NaN."""
    overflowed_zero = (noise == 0.0) & (std == float("inf")) & (scale < float("inf"))
    return tl.fma(tl.where(overflowed_zero, 0.0, std), noise, mean)


@triton.jit
def _kl_standard(mean, variance, logvar):
    # Infinite with sigma, no inf - inf.
    return tl.fma(mean, mean, variance - 1.0 - _below_infinity(logvar)) * 0.5


@triton.jit
def variance_ratio(std, logvar, prior_logvar, one, two, KIND: tl.constexpr):
    """sigma^2 / prior variance, finite wherever it is so itself: 1 for q against itself, whatever its variance.
    The prior's precision comes in two factors."""
    if KIND == LOGVAR:
        # The exponential of the difference, which rounds: what it loses (Knuth's sum of two) comes back as a factor.
        difference = logvar - prior_logvar
        back = difference - logvar
        lost = (logvar - (difference - back)) - (prior_logvar + back)
        # Past 1024 the exponential is 0 or infinite.
        return exp(difference) * (tl.where(tl.abs(difference) < 1024.0, lost, 0.0) + 1.0)
    else:
        return (std * one) * (std * two)


@triton.jit
def _kl_prior(offset, std, logvar, prior_logvar, KIND: tl.constexpr):
    one, two = exp_factors(-prior_logvar)
    difference = logvar - prior_logvar
    # Where the difference of finite logarithms overflows, so did the ratio: no inf - inf.
    log_ratio = tl.where(difference < float("inf"), difference, 0.0)
    ratio = variance_ratio(std, logvar, prior_logvar, one, two, KIND)
    return tl.fma(offset * one, offset * two, (ratio - 1.0) - log_ratio) * 0.5


@triton.jit
def kl_divergence(mean, std, variance, logvar, prior_mean, prior_logvar, KIND: tl.constexpr):
    """KL(N(mean, variance) || prior) of one element (13.25; 13.26 for the default prior); None is a prior's
    0."""
    offset = mean if prior_mean is None else mean - prior_mean
    if prior_logvar is None:
        return _kl_standard(offset, variance, logvar)
    else:
        return _kl_prior(offset, std, logvar, prior_logvar, KIND)


@triton.jit
def std_slope(scale, KIND: tl.constexpr):
    """d sigma / d scale."""
    if KIND == LOGVAR:
        return exp_finite(scale * 0.5) * 0.5
    elif KIND == STD:
        return tl.full(scale.shape, 1.0, scale.dtype)
    else:
        return sigmoid(scale)


@triton.jit
def kl_mean_slope(mean, prior_mean, prior_logvar):
    """d KL / d mean; d KL / d prior_mean is its negative."""
    offset = mean if prior_mean is None else mean - prior_mean
    return _times_precision(offset, prior_logvar)


@triton.jit
def kl_scale_slope(scale, prior_logvar, KIND: tl.constexpr):
    """d KL / d scale."""
    if KIND == LOGVAR:
        if prior_logvar is None:
            return (exp(scale) - 1.0) * 0.5
        else:
            return (variance_ratio(scale, scale, prior_logvar, 1.0, 1.0, KIND) - 1.0) * 0.5
    elif KIND == STD:
        inverse = divide(tl.full(scale.shape, -1.0, scale.dtype), scale)
        if prior_logvar is None:
            return scale + inverse
        else:
            one, two = exp_factors(-prior_logvar)
            return tl.fma(scale * one, two, inverse)
    else:
        std = softplus(scale)
        slope = sigmoid(scale)
        log_slope = tl.where(scale < -20.0, tl.fma(std, -0.5, 1.0), divide(slope, std))
        return tl.fma(_times_precision(std, prior_logvar), slope, -log_slope)


@triton.jit
def _times_precision(x, prior_logvar):
    if prior_logvar is None:
        return x
    else:
        one, two = exp_factors(-prior_logvar)
        return x * one * two


@triton.jit
def _below_infinity(x):
    return tl.minimum(x, largest_finite(x.dtype), propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def kl_prior_logvar_slope(mean, scale, prior_mean, prior_logvar, KIND: tl.constexpr):
    """d KL / d prior_logvar."""
    std, variance, logvar = expand_scale(scale, KIND)
    offset = mean if prior_mean is None else mean - prior_mean
    if prior_logvar is None:
        return tl.fma(offset, -offset, 1.0 - variance) * 0.5
    else:
        one, two = exp_factors(-prior_logvar)
        ratio = variance_ratio(std, logvar, prior_logvar, one, two, KIND)
        return tl.fma(offset * one, -(offset * two), 1.0 - ratio) * 0.5

"""Reparameterization and Gaussian KL of one element: the Triton twin of csrc/ops/reparameterize_kl/math.h."""

from __future__ import annotations

import triton
import triton.language as tl

from deepgen_fast.ops.triton_math import (
    divide,
    exp,
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
    """log softplus(x): nearly x itself where softplus(x) is nearly exp(x), so finite for every finite x."""
    return tl.where(x < -20.0, tl.fma(exp(x), -0.5, x), log(softplus_x))


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
    return tl.fma(mean, mean, variance - 1.0 - logvar) * 0.5


@triton.jit
def _kl_prior(offset, variance, logvar, prior_logvar):
    # The ratio of the variances is a product: the exponential of a rounded difference of logarithms is less exact.
    precision = exp_finite(-prior_logvar)
    difference = logvar - prior_logvar
    # Where the difference of finite logarithms overflows, so did the ratio: no inf - inf.
    log_ratio = tl.where(difference < float("inf"), difference, 0.0)
    return tl.fma(offset, offset * precision, tl.fma(variance, precision, -1.0) - log_ratio) * 0.5


@triton.jit
def kl_divergence(mean, variance, logvar, prior_mean, prior_logvar):
    """KL(N(mean, variance) || prior) of one element (13.25; 13.26 for the default prior); None is a prior's
    0."""
    offset = mean if prior_mean is None else mean - prior_mean
    if prior_logvar is None:
        return _kl_standard(offset, variance, logvar)
    else:
        return _kl_prior(offset, variance, logvar, prior_logvar)


@triton.jit
def std_slope(scale, KIND: tl.constexpr):
    """d sigma / d scale."""
    if KIND == LOGVAR:
        return exp_finite(scale * 0.5) * 0.5
    elif KIND == STD:
        return scale * 0.0 + 1.0
    else:
        return sigmoid(scale)


@triton.jit
def kl_mean_slope(mean, prior_mean, prior_logvar):
    """d KL / d mean; d KL / d prior_mean is its negative."""
    offset = mean if prior_mean is None else mean - prior_mean
    return offset if prior_logvar is None else offset * exp_finite(-prior_logvar)


@triton.jit
def kl_scale_slope(scale, prior_logvar, KIND: tl.constexpr):
    """d KL / d scale."""
    if KIND == LOGVAR:
        return (_below_infinity(exp_finite(scale) * _precision(scale, prior_logvar)) - 1.0) * 0.5
    elif KIND == STD:
        return tl.fma(scale, _precision(scale, prior_logvar), divide(scale * 0.0 - 1.0, scale))
    else:
        std = softplus(scale)
        slope = sigmoid(scale)
        log_slope = tl.where(scale < -20.0, 1.0, divide(slope, std))
        return tl.fma(std * _precision(scale, prior_logvar), slope, -log_slope)


@triton.jit
def _precision(like, prior_logvar):
    return tl.full(like.shape, 1.0, like.dtype) if prior_logvar is None else exp_finite(-prior_logvar)


@triton.jit
def _below_infinity(x):
    return tl.minimum(x, largest_finite(x.dtype), propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def kl_prior_logvar_slope(mean, variance, prior_mean, prior_logvar):
    """d KL / d prior_logvar."""
    offset = mean if prior_mean is None else mean - prior_mean
    if prior_logvar is None:
        return (1.0 - _below_infinity(variance) - offset * offset) * 0.5
    else:
        precision = exp_finite(-prior_logvar)
        return tl.fma(offset, -(offset * precision), 1.0 - _below_infinity(variance * precision)) * 0.5

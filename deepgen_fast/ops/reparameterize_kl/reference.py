"""Plain-torch specification of reparameterize_kl, and its backward as differentiable torch code."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from deepgen_fast.ops.forward_mode import times_tangents
from deepgen_fast.ops.limits import exp_factors, weighted
from deepgen_fast.ops.rows import accumulation_dtype, expand_rows, sum_event
from deepgen_fast.ops.softplus import FAR, log_softplus, softplus
from deepgen_fast.random import philox_normal
from deepgen_fast.tracing import call

LOGVAR, STD, PRE_SOFTPLUS = 0, 1, 2


def standard_deviation(scale: Tensor, scale_kind: int) -> Tensor:
    """sigma from log-variance, from itself, or as softplus of a pre-activation (equation 13.10)."""
    if scale_kind == LOGVAR:
        return torch.exp(0.5 * scale)
    return scale if scale_kind == STD else softplus(scale)


def log_variance(scale: Tensor, scale_kind: int) -> Tensor:
    """log sigma^2, finite for every finite log-variance or pre-activation."""
    if scale_kind == LOGVAR:
        return scale
    if scale_kind == STD:
        return 2.0 * torch.log(scale)
    return 2.0 * log_softplus(scale)


def _variance(scale: Tensor, scale_kind: int) -> Tensor:
    return torch.exp(scale) if scale_kind == LOGVAR else standard_deviation(scale, scale_kind).square()


def _finite_exp(x: Tensor) -> Tensor:
    """exp that stays between the smallest normal and the largest finite number, so 0 * exp(x) is never NaN.

    The argument is clamped, not the result: that would make NaN of the second derivative.
    """
    info = call(torch.finfo, x.dtype)
    return torch.exp(x.clamp(call(math.log, info.tiny) * 0.99999, call(math.log, info.max) * 0.99999))


def _variance_ratio(scale: Tensor, logvar: Tensor, prior_logvar: Tensor | None, scale_kind: int) -> Tensor:
    """sigma^2 / prior variance, finite wherever it is so itself: 1 for q against itself, whatever its variance."""
    if prior_logvar is None:
        return _variance(scale, scale_kind)
    if scale_kind != LOGVAR:
        one, two = exp_factors(-prior_logvar)
        std = standard_deviation(scale, scale_kind)
        return (std * one) * (std * two)
    # The exponential of the difference, which rounds: what it loses (Knuth's sum of two) comes back as a factor.
    difference = logvar - prior_logvar
    back = difference - logvar
    lost = (logvar - (difference - back)) - (prior_logvar + back)
    # Not past where the exponential is 0 or infinite; of no derivative, as it is 0 in real numbers.
    lost = torch.where(difference.abs() < 1024.0, lost, 0.0).detach()
    return torch.exp(difference) * (1.0 + lost)


def kl_elements(
    mean: Tensor, scale: Tensor, prior_mean: Tensor | None, prior_logvar: Tensor | None, scale_kind: int
) -> Tensor:
    """KL(N(mean, sigma^2) || N(prior_mean, exp(prior_logvar))) per element (13.25; 13.26 for the default prior)."""
    logvar = log_variance(scale, scale_kind)
    offset = mean if prior_mean is None else mean - prior_mean
    ratio = _variance_ratio(scale, logvar, prior_logvar, scale_kind)
    if prior_logvar is None:
        # Infinite with sigma: no inf - inf.
        return 0.5 * ((ratio - 1.0 - logvar.clamp(max=call(torch.finfo, logvar.dtype).max)) + offset.square())
    one, two = exp_factors(-prior_logvar)
    log_ratio = logvar - prior_logvar
    # Where the difference of finite logarithms overflows, so did the ratio: no inf - inf.
    log_ratio = torch.where(torch.isposinf(log_ratio), 0.0, log_ratio)
    return 0.5 * ((ratio - 1.0 - log_ratio) + (offset * one) * (offset * two))


def generated_noise(mean: Tensor, seed: Tensor, num_samples: int | None) -> Tensor:
    """The noise a kernel generates in registers, as a tensor of z's shape and accumulation dtype."""
    size = mean.shape if num_samples is None else (num_samples, *mean.shape)
    return philox_normal(seed, size, num_samples is not None).to(accumulation_dtype(mean.dtype))


def _inputs(
    mean: Tensor, scale: Tensor, prior_mean: Tensor | None, prior_logvar: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    dtype = accumulation_dtype(mean.dtype)
    prior_mean, prior_logvar = (
        None if prior is None else expand_rows(prior.to(dtype), mean.shape) for prior in (prior_mean, prior_logvar)
    )
    return mean.to(dtype), scale.to(dtype), prior_mean, prior_logvar


def reparameterize_kl(
    mean: Tensor,
    scale: Tensor,
    prior_mean: Tensor | None,
    prior_logvar: Tensor | None,
    noise: Tensor | None,
    seed: Tensor | None,
    num_samples: int | None,
    scale_kind: int,
    elementwise_kl: bool,
) -> tuple[Tensor, Tensor]:
    """z = mean + sigma * noise (13.27) and the KL to the prior (13.25); shapes as in the public function."""
    if noise is None:
        assert seed is not None
        noise = generated_noise(mean, seed, num_samples)
    wide_mean, wide_scale, prior_mean, prior_logvar = _inputs(mean, scale, prior_mean, prior_logvar)
    std = standard_deviation(wide_scale, scale_kind)
    # A zero draw stays at the mean even where sigma overflowed: finite input never gives NaN.
    std = torch.where((noise == 0) & (std == torch.inf) & torch.isfinite(wide_scale), 0.0, std)
    z = torch.addcmul(wide_mean, std, noise.to(wide_mean.dtype)).to(mean.dtype)
    kl = kl_elements(wide_mean, wide_scale, prior_mean, prior_logvar, scale_kind)
    return z, kl if elementwise_kl else sum_event(kl, 1)


def reparameterize_kl_backward(
    grad_z: Tensor | None,
    grad_kl: Tensor | None,
    mean: Tensor,
    scale: Tensor,
    prior_mean: Tensor | None,
    prior_logvar: Tensor | None,
    noise: Tensor | None,
    seed: Tensor | None,
    num_samples: int | None,
    scale_kind: int,
    elementwise_kl: bool,
    need_prior: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of both outputs together; every step is differentiable, so it serves double backward too."""
    wide_mean, wide_scale, prior_mean, prior_logvar = _inputs(mean, scale, prior_mean, prior_logvar)
    grad_mean, grad_scale = torch.zeros_like(wide_mean), torch.zeros_like(wide_scale)
    grad_prior_mean = grad_prior_logvar = mean.new_empty(0)
    if need_prior:
        grad_prior_mean, grad_prior_logvar = torch.zeros_like(wide_mean), torch.zeros_like(wide_mean)
    if grad_z is not None:
        wide_grad_z = grad_z.to(wide_mean.dtype)
        if noise is None:
            assert seed is not None
            noise = generated_noise(mean, seed, num_samples)
        grad_std = wide_grad_z * noise.to(wide_mean.dtype)
        if num_samples is not None:
            wide_grad_z, grad_std = wide_grad_z.sum(0), grad_std.sum(0)
        grad_mean = grad_mean + wide_grad_z
        grad_scale = grad_scale + grad_std * _std_slope(wide_scale, scale_kind)
    if grad_kl is not None:
        grad_kl = grad_kl if elementwise_kl else grad_kl.view(-1, *(1,) * (mean.dim() - 1))
        offset = wide_mean if prior_mean is None else wide_mean - prior_mean
        one, two = (torch.ones_like(offset),) * 2 if prior_logvar is None else exp_factors(-prior_logvar)
        grad_kl_mean = weighted(grad_kl, offset * one * two)
        grad_mean = grad_mean + grad_kl_mean
        grad_scale = grad_scale + weighted(grad_kl, _kl_scale_slope(wide_scale, prior_logvar, scale_kind))
        if need_prior:
            ratio = _variance_ratio(wide_scale, log_variance(wide_scale, scale_kind), prior_logvar, scale_kind)
            grad_prior_mean = -grad_kl_mean
            grad_prior_logvar = weighted(grad_kl, 0.5 * ((1.0 - ratio) - (offset * one) * (offset * two)))
    return grad_mean.to(mean.dtype), grad_scale.to(scale.dtype), grad_prior_mean, grad_prior_logvar


def reparameterize_kl_tangents(
    tangent_mean: Tensor | None,
    tangent_scale: Tensor | None,
    tangent_prior_mean: Tensor | None,
    tangent_prior_logvar: Tensor | None,
    tangent_noise: Tensor | None,
    mean: Tensor,
    scale: Tensor,
    prior_mean: Tensor | None,
    prior_logvar: Tensor | None,
    noise: Tensor | None,
    seed: Tensor | None,
    num_samples: int | None,
    scale_kind: int,
    elementwise_kl: bool,
) -> tuple[Tensor, Tensor]:
    """What these tangents make z and the KL move by, to first order; generated noise is a constant."""
    wide_mean, wide_scale, wide_prior_mean, wide_prior_logvar = _inputs(mean, scale, prior_mean, prior_logvar)
    if noise is None:
        assert seed is not None
        noise = generated_noise(mean, seed, num_samples)
    noise = noise.to(wide_mean.dtype)
    std = standard_deviation(wide_scale, scale_kind)
    slopes = (torch.ones_like(noise), noise * _std_slope(wide_scale, scale_kind), std.expand(noise.shape))
    tangent_z = times_tangents(slopes, (tangent_mean, tangent_scale, tangent_noise))
    kl_slopes = reparameterize_kl_backward(
        None, torch.ones_like(wide_mean), wide_mean, wide_scale, wide_prior_mean, wide_prior_logvar, None, None, None,
        scale_kind, True, True,
    )  # fmt: skip
    tangent_kl = times_tangents(kl_slopes, (tangent_mean, tangent_scale, tangent_prior_mean, tangent_prior_logvar))
    return tangent_z.to(mean.dtype), tangent_kl if elementwise_kl else sum_event(tangent_kl, 1)


def _std_slope(scale: Tensor, scale_kind: int) -> Tensor | float:
    """d sigma / d scale."""
    if scale_kind == LOGVAR:
        return 0.5 * _finite_exp(0.5 * scale)
    return 1.0 if scale_kind == STD else torch.sigmoid(scale)


def _kl_scale_slope(scale: Tensor, prior_logvar: Tensor | None, scale_kind: int) -> Tensor:
    """d KL / d scale for one element, before the incoming gradient."""
    if scale_kind == LOGVAR:
        return 0.5 * (_variance_ratio(scale, scale, prior_logvar, scale_kind) - 1.0)
    one, two = (1.0, 1.0) if prior_logvar is None else exp_factors(-prior_logvar)
    if scale_kind == STD:
        return scale * one * two - 1.0 / scale
    sigmoid = torch.sigmoid(scale)
    linear = scale < -FAR  # sigmoid / softplus -> 1, not 0 / 0
    log_slope = torch.where(linear, 1.0, sigmoid / softplus(scale.masked_fill(linear, 0.0)))
    return softplus(scale) * one * two * sigmoid - log_slope

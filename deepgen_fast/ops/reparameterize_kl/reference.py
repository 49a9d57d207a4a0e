"""Plain-torch specification of reparameterize_kl, and its backward as differentiable torch code."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from deepgen_fast.ops.forward_mode import times_tangents
from deepgen_fast.ops.rows import accumulation_dtype, expand_rows, sum_event
from deepgen_fast.random import philox_normal
from deepgen_fast.tracing import call

LOGVAR, STD, PRE_SOFTPLUS = 0, 1, 2
# softplus(x) = e^x to float32 precision below this point; past it log(softplus(x)) is x itself, never log(0).
_LOG_SOFTPLUS_LINEAR = -20.0


def standard_deviation(scale: Tensor, scale_kind: int) -> Tensor:
    """sigma from log-variance, from itself, or as softplus of a pre-activation (equation 13.10)."""
    if scale_kind == LOGVAR:
        return torch.exp(0.5 * scale)
    return scale if scale_kind == STD else F.softplus(scale)


def log_variance(scale: Tensor, scale_kind: int) -> Tensor:
    """log sigma^2, finite for every finite log-variance or pre-activation."""
    if scale_kind == LOGVAR:
        return scale
    if scale_kind == STD:
        return 2.0 * torch.log(scale)
    linear = scale < _LOG_SOFTPLUS_LINEAR
    return 2.0 * torch.where(linear, scale, torch.log(F.softplus(scale.masked_fill(linear, 0.0))))


def _variance(scale: Tensor, scale_kind: int) -> Tensor:
    return torch.exp(scale) if scale_kind == LOGVAR else standard_deviation(scale, scale_kind).square()


def _finite_exp(x: Tensor) -> Tensor:
    """exp that stays between the smallest normal and the largest finite number, so 0 * exp(x) is never NaN."""
    info = call(torch.finfo, x.dtype)
    return torch.exp(x).clamp(info.tiny, info.max)


def _below_infinity(x: Tensor) -> Tensor:
    """The largest finite number in place of infinity, so that a zero gradient times it is 0."""
    return x.clamp(max=call(torch.finfo, x.dtype).max)


def kl_elements(mean: Tensor, scale: Tensor, prior_mean: Tensor | None, prior_logvar: Tensor | None, scale_kind: int):
    """KL(N(mean, sigma^2) || N(prior_mean, exp(prior_logvar))) per element (13.25; 13.26 for the default prior)."""
    logvar = log_variance(scale, scale_kind)
    if prior_mean is None and prior_logvar is None:
        return 0.5 * ((_variance(scale, scale_kind) - 1.0 - logvar) + mean.square())
    offset = mean if prior_mean is None else mean - prior_mean
    if prior_logvar is None:
        return 0.5 * ((_variance(scale, scale_kind) - 1.0 - logvar) + offset.square())
    # The ratio of the variances is a product: the exponential of a rounded difference of logarithms is less exact.
    precision = _finite_exp(-prior_logvar)
    log_ratio = logvar - prior_logvar
    # Where the difference of finite logarithms overflows, so did the ratio: no inf - inf.
    log_ratio = torch.where(log_ratio == torch.inf, 0.0, log_ratio)
    return 0.5 * ((_variance(scale, scale_kind) * precision - 1.0 - log_ratio) + offset * (offset * precision))


def generated_noise(mean: Tensor, seed: Tensor, num_samples: int | None) -> Tensor:
    """The noise a kernel generates in registers, as a tensor of z's shape and accumulation dtype."""
    size = mean.shape if num_samples is None else (num_samples, *mean.shape)
    return philox_normal(seed, size, num_samples is not None).to(accumulation_dtype(mean.dtype))


def _inputs(mean: Tensor, scale: Tensor, prior_mean: Tensor | None, prior_logvar: Tensor | None):
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
        grad_prior_mean, grad_prior_logvar = torch.zeros_like(mean), torch.zeros_like(mean)
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
        precision = 1.0 if prior_logvar is None else _finite_exp(-prior_logvar)
        offset = wide_mean if prior_mean is None else wide_mean - prior_mean
        mean_slope = offset * precision
        grad_mean = grad_mean + grad_kl * mean_slope
        grad_scale = grad_scale + grad_kl * _kl_scale_slope(wide_scale, precision, scale_kind)
        if need_prior:
            variance = _variance(wide_scale, scale_kind)
            grad_prior_mean = (-grad_kl * mean_slope).to(mean.dtype)
            prior_logvar_slope = 0.5 * ((1.0 - _below_infinity(variance * precision)) - offset * mean_slope)
            grad_prior_logvar = (grad_kl * prior_logvar_slope).to(mean.dtype)
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
    slopes = reparameterize_kl_backward(
        None, torch.ones_like(wide_mean), wide_mean, wide_scale, wide_prior_mean, wide_prior_logvar, None, None, None,
        scale_kind, True, True,
    )  # fmt: skip
    tangent_kl = times_tangents(slopes, (tangent_mean, tangent_scale, tangent_prior_mean, tangent_prior_logvar))
    return tangent_z.to(mean.dtype), tangent_kl if elementwise_kl else sum_event(tangent_kl, 1)


def _std_slope(scale: Tensor, scale_kind: int) -> Tensor | float:
    """d sigma / d scale."""
    if scale_kind == LOGVAR:
        return 0.5 * _finite_exp(0.5 * scale)
    return 1.0 if scale_kind == STD else torch.sigmoid(scale)


def _kl_scale_slope(scale: Tensor, precision: Tensor | float, scale_kind: int) -> Tensor:
    """d KL / d scale for one element, before the incoming gradient."""
    if scale_kind == LOGVAR:
        return 0.5 * (_below_infinity(_finite_exp(scale) * precision) - 1.0)
    if scale_kind == STD:
        return scale * precision - 1.0 / scale
    sigmoid = torch.sigmoid(scale)
    linear = scale < _LOG_SOFTPLUS_LINEAR  # sigmoid / softplus -> 1, not 0 / 0
    log_slope = torch.where(linear, 1.0, sigmoid / F.softplus(scale.masked_fill(linear, 0.0)))
    return F.softplus(scale) * precision * sigmoid - log_slope

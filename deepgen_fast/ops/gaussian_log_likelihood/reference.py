"""Plain-torch specification of gaussian_log_likelihood, and its backward as differentiable torch code."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from deepgen_fast.ops.forward_mode import times_tangents
from deepgen_fast.ops.limits import exp_factors, weighted
from deepgen_fast.ops.rows import accumulation_dtype, expand_rows, leading_view, sum_event

LOG_TWO_PI = math.log(2.0 * math.pi)


def _inputs(
    mean: Tensor, target: Tensor, logvar: Tensor | None, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    dtype = accumulation_dtype(mean.dtype)
    mean, target = mean.to(dtype), target.to(dtype)
    logvar = None if logvar is None else expand_rows(logvar.to(dtype), mean.shape)
    if mask is not None:
        mask = expand_rows(mask, mean.shape)
        # Masked positions leave the computation here, so a NaN there reaches neither values nor gradients.
        mean, target = torch.where(mask, mean, 0.0), torch.where(mask, target, 0.0)
        logvar = None if logvar is None else torch.where(mask, logvar, 0.0)
    return mean, target, logvar, mask


def gaussian_log_likelihood(
    mean: Tensor, target: Tensor, logvar: Tensor | None, mask: Tensor | None, elementwise: bool
) -> Tensor:
    """log N(target; mean, exp(logvar)), equation 13.18 (13.28 for unit variance, with its constant)."""
    leading = mean.dim() - target.dim() + 1
    mean, target, logvar, mask = _inputs(mean, target, logvar, mask)
    offset = target - mean
    if logvar is None:
        value = -0.5 * (offset.square() + LOG_TWO_PI)
    else:
        one, two = exp_factors(-logvar)
        square = (offset * one) * (offset * two)
        value = -0.5 * (square + (logvar + LOG_TWO_PI))
        # The square decides where it overflows: logvar = -inf is no help to a target off the mean.
        value = torch.where(torch.isposinf(square), -square, value)
    if mask is not None:
        value = torch.where(mask, value, 0.0)
    return value if elementwise else sum_event(value, leading)


def gaussian_log_likelihood_backward(
    grad: Tensor,
    mean: Tensor,
    target: Tensor,
    logvar: Tensor | None,
    mask: Tensor | None,
    elementwise: bool,
    need_mean: bool,
    need_target: bool,
    need_logvar: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """d/d mean = offset / variance; d/d target = -offset / variance; d/d logvar = (offset^2 / variance - 1) / 2."""
    leading = mean.dim() - target.dim() + 1
    wide_mean, wide_target, wide_logvar, mask = _inputs(mean, target, logvar, mask)
    grad = grad if elementwise else leading_view(grad, mean)
    if mask is not None:
        grad = torch.where(mask, grad, 0.0)
    offset = wide_target - wide_mean
    one, two = (torch.ones_like(offset),) * 2 if wide_logvar is None else exp_factors(-wide_logvar)
    scaled = offset * one * two
    grad_mean = grad_target = grad_logvar = mean.new_empty(0)
    if need_mean:
        grad_mean = weighted(grad, scaled).to(mean.dtype)
    if need_target:
        grad_target = -weighted(grad, scaled)
    if need_logvar:
        assert logvar is not None
        grad_logvar = weighted(grad, 0.5 * ((offset * one) * (offset * two) - 1.0))
        if logvar.numel() == 1:
            grad_logvar = sum_event(grad_logvar, leading)
        elif logvar.numel() == mean.numel():  # else still to be summed, and rounded after that
            grad_logvar = grad_logvar.to(logvar.dtype)
    return grad_mean, grad_target, grad_logvar


def gaussian_log_likelihood_tangent(
    tangent_mean: Tensor | None,
    tangent_target: Tensor | None,
    tangent_logvar: Tensor | None,
    mean: Tensor,
    target: Tensor,
    logvar: Tensor | None,
    mask: Tensor | None,
    elementwise: bool,
) -> Tensor:
    """What these tangents make the value move by, to first order; of the value's shape and dtype."""
    leading = mean.dim() - target.dim() + 1
    wide = mean.to(accumulation_dtype(mean.dtype))
    if logvar is not None:  # in full, so that its derivative is not summed up
        logvar = expand_rows(logvar.to(wide.dtype), mean.shape)
    slopes = gaussian_log_likelihood_backward(
        torch.ones_like(wide), wide, target, logvar, mask, True, True, True, logvar is not None
    )
    value = times_tangents(slopes, (tangent_mean, tangent_target, tangent_logvar))
    if mask is not None:
        value = torch.where(expand_rows(mask, value.shape), value, 0.0)
    return value if elementwise else sum_event(value, leading)

"""Plain-torch specification of bernoulli_log_likelihood, and its backward as differentiable torch code."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from deepgen_fast.ops.forward_mode import times_tangents
from deepgen_fast.ops.limits import weighted
from deepgen_fast.ops.rows import accumulation_dtype, expand_rows, leading_view, sum_event


def _inputs(logits: Tensor, target: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    dtype = accumulation_dtype(logits.dtype)
    logits, target = logits.to(dtype), target.to(dtype)
    if mask is not None:
        mask = expand_rows(mask, logits.shape)
        # Masked positions leave the computation here, so a NaN there reaches neither values nor gradients.
        logits, target = torch.where(mask, logits, 0.0), torch.where(mask, target, 0.0)
    return logits, target, mask


def bernoulli_log_likelihood(logits: Tensor, target: Tensor, mask: Tensor | None, elementwise: bool) -> Tensor:
    """target * log(sigmoid(logits)) + (1 - target) * log(1 - sigmoid(logits)), equations 13.16 and 13.17."""
    leading = logits.dim() - target.dim() + 1
    logits, target, mask = _inputs(logits, target, mask)
    value = F.logsigmoid(logits) - (1.0 - target) * logits
    if mask is not None:
        value = torch.where(mask, value, 0.0)
    return value if elementwise else sum_event(value, leading)


def bernoulli_log_likelihood_backward(
    grad: Tensor,
    logits: Tensor,
    target: Tensor,
    mask: Tensor | None,
    elementwise: bool,
    need_logits: bool,
    need_target: bool,
) -> tuple[Tensor, Tensor]:
    """d/d logits = target - sigmoid(logits); d/d target = logits."""
    wide_logits, wide_target, mask = _inputs(logits, target, mask)
    grad = grad if elementwise else leading_view(grad, logits)
    if mask is not None:
        grad = torch.where(mask, grad, 0.0)
    grad_logits = grad_target = logits.new_empty(0)
    if need_logits:
        grad_logits = weighted(grad, wide_target - torch.sigmoid(wide_logits)).to(logits.dtype)
    if need_target:
        grad_target = weighted(grad, wide_logits)
    return grad_logits, grad_target


def bernoulli_log_likelihood_tangent(
    tangent_logits: Tensor | None,
    tangent_target: Tensor | None,
    logits: Tensor,
    target: Tensor,
    mask: Tensor | None,
    elementwise: bool,
) -> Tensor:
    """What these tangents make the value move by, to first order; of the value's shape and dtype."""
    leading = logits.dim() - target.dim() + 1
    wide = logits.to(accumulation_dtype(logits.dtype))
    slopes = bernoulli_log_likelihood_backward(torch.ones_like(wide), wide, target, mask, True, True, True)
    value = times_tangents(slopes, (tangent_logits, tangent_target))
    if mask is not None:
        value = torch.where(expand_rows(mask, value.shape), value, 0.0)
    return value if elementwise else sum_event(value, leading)

"""Plain-torch specification of minibatch_discrimination, and its backward as differentiable torch code.

Unlike the kernels it makes the differences of all pairs, ``[batch, batch, kernels, dims]``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from deepgen_fast.ops.rows import accumulation_dtype
from deepgen_fast.tracing import call


def _pairs(features: Tensor, include_self: bool) -> tuple[Tensor, Tensor]:
    """Differences M_i - M_j ``[batch, batch, kernels, dims]`` and similarities ``[batch, batch, kernels]``."""
    wide = features.to(accumulation_dtype(features.dtype))
    difference = wide.unsqueeze(1) - wide.unsqueeze(0)
    own = call(torch.eye, features.shape[0], dtype=torch.bool, device=features.device)[:, :, None]
    # An example's pair with itself leaves the computation here: inf - inf reaches neither values nor gradients.
    difference = torch.where(own[..., None], 0.0, difference)
    return difference, torch.where(own, float(include_self), torch.exp(-difference.abs().sum(-1)))


def minibatch_discrimination(features: Tensor, include_self: bool) -> Tensor:
    """o_i = sum over j of exp(-||M_i - M_j||_1)."""
    return _pairs(features, include_self)[1].sum(1)


def minibatch_discrimination_backward(grad: Tensor, features: Tensor, include_self: bool) -> Tensor:
    """d/d M_i = -sum over j of (grad_i + grad_j) exp(-||M_i - M_j||_1) sign(M_i - M_j)."""
    difference, similarity = _pairs(features, include_self)
    weight = (grad.unsqueeze(1) + grad.unsqueeze(0)) * similarity
    return -(weight.unsqueeze(-1) * difference.sign()).sum(1).to(features.dtype)


def minibatch_discrimination_tangent(tangent: Tensor, features: Tensor, include_self: bool) -> Tensor:
    """d o_i = -sum over j of exp(-||M_i - M_j||_1) sign(M_i - M_j) . (d M_i - d M_j)."""
    difference, similarity = _pairs(features, include_self)
    wide = tangent.to(similarity.dtype)
    along = (difference.sign() * (wide.unsqueeze(1) - wide.unsqueeze(0))).sum(-1)
    return -(similarity * along).sum(1)

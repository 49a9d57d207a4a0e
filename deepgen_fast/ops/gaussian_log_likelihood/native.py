"""Calls of the C++ operators, and their fake kernels for torch.compile."""

from __future__ import annotations

import torch
from torch import Tensor

from deepgen_fast.ops.rows import accumulation_dtype

gaussian_log_likelihood = torch.ops.deepgen_fast.gaussian_log_likelihood.default
gaussian_log_likelihood_backward = torch.ops.deepgen_fast.gaussian_log_likelihood_backward.default


@torch.library.register_fake("deepgen_fast::gaussian_log_likelihood")
def _(mean: Tensor, target: Tensor, logvar: Tensor | None, mask: Tensor | None, elementwise: bool) -> Tensor:
    leading = mean.dim() - target.dim() + 1
    return mean.new_empty(mean.shape if elementwise else mean.shape[:leading], dtype=accumulation_dtype(mean.dtype))


@torch.library.register_fake("deepgen_fast::gaussian_log_likelihood_backward")
def _(
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
    wide, leading = accumulation_dtype(mean.dtype), mean.dim() - target.dim() + 1
    return (
        mean.new_empty(mean.shape) if need_mean else mean.new_empty(0),
        mean.new_empty(mean.shape, dtype=wide) if need_target else mean.new_empty(0),
        new_logvar_gradient(mean, logvar, leading) if logvar is not None and need_logvar else mean.new_empty(0),
    )


def new_logvar_gradient(mean: Tensor, logvar: Tensor, leading: int) -> Tensor:
    """One value a row for a logvar of one element, else of the mean's shape; not rounded where it is still to be
    summed."""
    summed = logvar.numel() < mean.numel()
    shape = mean.shape[:leading] if logvar.numel() == 1 else mean.shape
    return mean.new_empty(shape, dtype=accumulation_dtype(mean.dtype) if summed else mean.dtype)

"""Calls of the C++ operators, and their fake kernels for torch.compile."""

from __future__ import annotations

import torch
from torch import Tensor

from deepgen_fast.ops.rows import accumulation_dtype

bernoulli_log_likelihood = torch.ops.deepgen_fast.bernoulli_log_likelihood.default
bernoulli_log_likelihood_backward = torch.ops.deepgen_fast.bernoulli_log_likelihood_backward.default


@torch.library.register_fake("deepgen_fast::bernoulli_log_likelihood")
def _(logits: Tensor, target: Tensor, mask: Tensor | None, elementwise: bool) -> Tensor:
    leading = logits.dim() - target.dim() + 1
    shape = logits.shape if elementwise else logits.shape[:leading]
    return logits.new_empty(shape, dtype=accumulation_dtype(logits.dtype))


@torch.library.register_fake("deepgen_fast::bernoulli_log_likelihood_backward")
def _(
    grad: Tensor,
    logits: Tensor,
    target: Tensor,
    mask: Tensor | None,
    elementwise: bool,
    need_logits: bool,
    need_target: bool,
) -> tuple[Tensor, Tensor]:
    return (
        logits.new_empty(logits.shape if need_logits else (0,)),
        logits.new_empty(logits.shape, dtype=accumulation_dtype(logits.dtype)) if need_target else logits.new_empty(0),
    )

"""The autograd Function: which launcher runs forward and backward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepgen_fast.ops.autograd import apply_function, needs_torch_code, reduce_repeated
from deepgen_fast.ops.bernoulli_log_likelihood import reference
from deepgen_fast.ops.launchers import launchers
from deepgen_fast.ops.vmap import flatten_rows, restore_rows


class BernoulliLogLikelihood(torch.autograd.Function):
    @staticmethod
    def forward(logits: Tensor, target: Tensor, mask: Tensor | None, elementwise: bool, backend: str) -> Tensor:
        launch = launchers("bernoulli_log_likelihood", backend)
        return launch.bernoulli_log_likelihood(logits, target, mask, elementwise)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        logits, target, mask, ctx.elementwise, ctx.backend = inputs
        ctx.save_for_backward(logits, target, mask)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        logits, target, mask = ctx.saved_tensors
        need_logits, need_target = ctx.needs_input_grad[:2]
        launch = reference if needs_torch_code(grad) else launchers("bernoulli_log_likelihood", ctx.backend)
        grad_logits, grad_target = launch.bernoulli_log_likelihood_backward(
            grad, logits, target, mask, ctx.elementwise, need_logits, need_target
        )
        return (
            grad_logits if need_logits else None,
            reduce_repeated(grad_target, target) if need_target else None,
            None,
            None,
            None,
        )

    @staticmethod
    def tangents(inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Tensor:
        return reference.bernoulli_log_likelihood_tangent(*tangents[:2], *inputs[:4])

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], logits: Tensor, target: Tensor, mask: Any, elementwise: bool, backend: str
    ) -> tuple[Any, ...]:
        size = info.batch_size
        leading = logits.dim() - (in_dims[0] is not None) - (target.dim() - (in_dims[1] is not None)) + 1
        (logits, target, mask), shape = flatten_rows(size, leading, in_dims[:3], logits, target, mask)
        value = apply_function(BernoulliLogLikelihood, logits, target, mask, elementwise, backend)
        return restore_rows(value, size, leading, shape), leading - 1

"""The autograd Function: which launcher runs forward and backward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepgen_fast.ops.autograd import apply_function, needs_torch_code, reduce_repeated
from deepgen_fast.ops.gaussian_log_likelihood import reference
from deepgen_fast.ops.launchers import launchers
from deepgen_fast.ops.vmap import flatten_rows, restore_rows


class GaussianLogLikelihood(torch.autograd.Function):
    @staticmethod
    def forward(
        mean: Tensor, target: Tensor, logvar: Tensor | None, mask: Tensor | None, elementwise: bool, backend: str
    ) -> Tensor:
        launch = launchers("gaussian_log_likelihood", backend)
        return launch.gaussian_log_likelihood(mean, target, logvar, mask, elementwise)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        mean, target, logvar, mask, ctx.elementwise, ctx.backend = inputs
        ctx.save_for_backward(mean, target, logvar, mask)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        mean, target, logvar, mask = ctx.saved_tensors
        need_mean, need_target, need_logvar = ctx.needs_input_grad[:3]
        launch = reference if needs_torch_code(grad) else launchers("gaussian_log_likelihood", ctx.backend)
        grad_mean, grad_target, grad_logvar = launch.gaussian_log_likelihood_backward(
            grad, mean, target, logvar, mask, ctx.elementwise, need_mean, need_target, need_logvar
        )
        return (
            grad_mean if need_mean else None,
            reduce_repeated(grad_target, target) if need_target else None,
            reduce_repeated(grad_logvar, logvar) if need_logvar else None,
            None,
            None,
            None,
        )

    @staticmethod
    def tangents(inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Tensor:
        return reference.gaussian_log_likelihood_tangent(*tangents[:3], *inputs[:5])

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], mean: Tensor, target: Tensor, logvar: Any, mask: Any, *options: Any
    ) -> tuple[Any, ...]:
        size = info.batch_size
        leading = mean.dim() - (in_dims[0] is not None) - (target.dim() - (in_dims[1] is not None)) + 1
        rows, batch = flatten_rows(size, leading, in_dims[:4], mean, target, logvar, mask)
        value = apply_function(GaussianLogLikelihood, *rows, *options)
        return restore_rows(value, size, leading, batch), leading - 1

"""The autograd Function: which launcher runs forward and backward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepgen_fast.ops.autograd import apply_function, needs_torch_code
from deepgen_fast.ops.launchers import launchers
from deepgen_fast.ops.minibatch_discrimination import reference
from deepgen_fast.ops.vmap import merge_batch


class MinibatchDiscrimination(torch.autograd.Function):
    @staticmethod
    def forward(features: Tensor, include_self: bool, backend: str) -> Tensor:
        return launchers("minibatch_discrimination", backend).minibatch_discrimination(features, include_self)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        features, ctx.include_self, ctx.backend = inputs
        ctx.save_for_backward(features)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        (features,) = ctx.saved_tensors
        launch = reference if needs_torch_code(grad) else launchers("minibatch_discrimination", ctx.backend)
        return launch.minibatch_discrimination_backward(grad, features, ctx.include_self), None, None

    @staticmethod
    def tangents(inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Tensor:
        return reference.minibatch_discrimination_tangent(tangents[0], *inputs[:2])

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], features: Tensor, *options: Any) -> tuple[Tensor, int]:
        # Kernels have nothing to do with each other, so the lanes' minibatches lie side by side as kernels of one.
        merged = merge_batch(features, in_dims[0], info.batch_size, 1)
        value = apply_function(MinibatchDiscrimination, merged, *options)
        kernels = merged.shape[1] // info.batch_size if info.batch_size else 0
        return value.unflatten(1, (info.batch_size, kernels)), 1

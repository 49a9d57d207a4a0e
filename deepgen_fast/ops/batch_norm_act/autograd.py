"""The autograd Function: which launcher runs forward and backward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepgen_fast.ops.autograd import needs_torch_code
from deepgen_fast.ops.batch_norm_act import reference
from deepgen_fast.ops.batch_norm_act.launch import launcher


class BatchNormAct(torch.autograd.Function):
    """input, weight, bias -> act((input - mean) * invstd * weight + bias).

    In ``training``, mean and invstd are the input's own, and backward knows it; they carry no gradient themselves.
    """

    @staticmethod
    def forward(
        input: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, invstd: Tensor, activation: int,
        negative_slope: float, training: bool, eps: float, backend: str,
    ) -> Tensor:  # fmt: skip
        launch = launcher("batch_norm_act", input, backend)
        return launch.batch_norm_act(input, mean, invstd, weight, bias, activation, negative_slope)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, weight, bias, mean, invstd, *ctx.options = inputs
        ctx.save_for_backward(input, weight, bias, mean, invstd)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        input, weight, bias, mean, invstd = ctx.saved_tensors
        activation, negative_slope, training, eps, backend = ctx.options
        need_input, need_weight, need_bias = ctx.needs_input_grad[:3]
        if needs_torch_code(grad):
            launch = reference
            if training:  # the second derivative goes through the statistics too
                mean, invstd = reference.moments(input, eps)
        else:
            launch = launcher("batch_norm_act_backward", input, backend)
        grad_input, grad_weight, grad_bias = launch.batch_norm_act_backward(
            grad, input, mean, invstd, weight, bias, activation, negative_slope, training, need_input,
            need_weight or need_bias,
        )  # fmt: skip
        return (
            grad_input if need_input else None,
            grad_weight.to(weight.dtype) if need_weight else None,
            grad_bias.to(bias.dtype) if need_bias else None,
            *(None,) * 7,
        )

    @staticmethod
    def tangents(inputs: tuple[Any, ...], tangents: tuple[Any, ...]) -> Tensor:
        input, weight, bias, mean, invstd, activation, negative_slope, training, eps, _ = inputs
        if training:  # as in backward
            mean, invstd = reference.moments(input, eps)
        of_input, of_weight, of_bias = tangents[:3]
        return reference.batch_norm_act_tangent(
            of_input, of_weight, of_bias, input, mean, invstd, weight, bias, activation, negative_slope, training
        )

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Any, ...]:
        """Each lane has its own parameters or statistics, so plain torch maps it."""
        activation, negative_slope, training, eps, _ = args[5:]

        def lane(input: Tensor, weight: Any, bias: Any, mean: Tensor, invstd: Tensor) -> Tensor:
            if training:  # what differentiates the mapped function goes through the statistics, too
                mean, invstd = reference.moments(input, eps)
            return reference.batch_norm_act(input, mean, invstd, weight, bias, activation, negative_slope)

        return torch.vmap(lane, in_dims[:5])(*args[:5]), 0

"""The autograd Function: gradients are made with the value, the backward hands them out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepgen_fast.ops.autograd import needs_torch_code, recorded, reduce_repeated
from deepgen_fast.ops.launchers import launchers
from deepgen_fast.ops.negative_elbo.reference import negative_elbo_value


class FusedNegativeELBO(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *args: Any) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        *inputs, return_parts, backend = args
        launch = launchers("negative_elbo", backend)
        loss, log_likelihood, kl, *grads = launch.negative_elbo(*inputs, True)
        ctx.options, ctx.backend = inputs[8:], backend
        if torch.compiler.is_compiling():
            ctx.save_for_backward(*inputs[:8], *grads)
        else:
            ctx.save_for_backward(*inputs[:8])
            ctx.gradients = grads
        if not return_parts:  # every output of a Function costs a microsecond or two
            return loss
        ctx.mark_non_differentiable(log_likelihood, kl)
        return loss, log_likelihood, kl

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor, *unused: Tensor) -> tuple:
        saved = ctx.saved_tensors  # unpacked once: torch.utils.checkpoint refuses to make them twice
        inputs = saved[:8]
        needed = ctx.needs_input_grad
        at = (0, 2, 4, 5)  # decoder_output, likelihood_logvar, mean, scale
        found: list[Tensor | None] = [None] * len(needed)
        if recorded():
            loss, _, _ = negative_elbo_value(*inputs, *ctx.options)
            wanted = [i for i in at if needed[i]]
            made = torch.autograd.grad(loss, [inputs[i] for i in wanted], grad_loss, create_graph=True)
            for i, grad in zip(wanted, made, strict=True):
                found[i] = grad
            return tuple(found)
        grads = saved[8:] if torch.compiler.is_compiling() else _take_gradients(ctx, inputs)
        one = _is_one(grad_loss)
        for i, grad in zip(at, grads, strict=True):
            if needed[i]:
                grad = grad if one else grad * grad_loss
                found[i] = reduce_repeated(grad, inputs[i]).to(inputs[i].dtype) if i == 2 else grad
        return tuple(found)


def _take_gradients(ctx: Any, inputs: tuple) -> list[Tensor]:
    """The gradients that the forward made, given away: what receives them may keep them, in place of a copy.

    A second backward of a retained graph makes them again, so that no caller holds what another one got.
    """
    grads, ctx.gradients = ctx.gradients, None
    if grads is None:
        _, _, _, *grads = launchers("negative_elbo", ctx.backend).negative_elbo(*inputs, *ctx.options, True)
    return grads


def _is_one(grad_loss: Tensor) -> bool:
    """Whether the incoming gradient is the usual 1, so that a pass over the gradients is saved.

    Only asked where asking is free, and where there is one: not on a GPU, where it would wait for the device, nor while
    compiling, nor of mapped gradients, nor of one that has a tangent.
    """
    if grad_loss.device.type != "cpu" or torch.compiler.is_compiling() or needs_torch_code(grad_loss):
        return False
    return grad_loss.item() == 1.0

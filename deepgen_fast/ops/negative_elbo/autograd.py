"""The autograd Function: gradients are made with the value where that is exact, and the backward hands them out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from deepgen_fast.ops.autograd import needs_torch_code, recorded, reduce_repeated
from deepgen_fast.ops.launchers import launchers
from deepgen_fast.ops.negative_elbo.reference import negative_elbo_value

_SIXTEEN_BITS = (torch.float16, torch.bfloat16)
_AT = (0, 2, 4, 5)  # decoder_output, likelihood_logvar, mean, scale


class FusedNegativeELBO(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *args: Any) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        *inputs, return_parts, backend = args
        launch = launchers("negative_elbo", backend)
        with_gradients = not _rounds(inputs) or _can_look(inputs[0])
        loss, log_likelihood, kl, *grads = launch.negative_elbo(*inputs, with_gradients, None)
        ctx.options, ctx.backend = inputs[8:], backend
        grads = grads if with_gradients else []
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
    def backward(ctx: Any, grad_loss: Tensor, *unused: Tensor) -> tuple[Any, ...]:
        saved = ctx.saved_tensors  # unpacked once: torch.utils.checkpoint refuses to make them twice
        inputs = saved[:8]
        needed = ctx.needs_input_grad
        found: list[Tensor | None] = [None] * len(needed)
        if recorded():
            loss, _, _ = negative_elbo_value(*inputs, *ctx.options)
            wanted = [i for i in _AT if needed[i]]
            grads = torch.autograd.grad(loss, [inputs[i] for i in wanted], grad_loss, create_graph=True)
            for i, grad in zip(wanted, grads, strict=True):
                found[i] = grad
            return tuple(found)
        made = saved[8:] if torch.compiler.is_compiling() else _take_gradients(ctx)
        number = grad_loss.item() if _can_look(grad_loss) else None
        # A 16-bit gradient that was rounded before cannot be multiplied any more: it is made from the inputs again.
        unrounded = number != 1.0 and _rounds(inputs)
        if unrounded or len(made) == 0:
            incoming = grad_loss if unrounded else None
            launch = launchers("negative_elbo", ctx.backend)
            made = launch.negative_elbo(*inputs, *ctx.options, True, incoming)[3:]
            number = number if incoming is None else 1.0
        for i, grad in zip(_AT, made, strict=True):
            if needed[i]:
                grad = _scaled(grad, grad_loss, number)
                found[i] = reduce_repeated(grad, inputs[i]) if i == 2 else grad
        return tuple(found)


def _scaled(grad: Tensor, grad_loss: Tensor, number: float | None) -> Tensor:
    """The gradient times the incoming one, as far as that has not been done; ``number`` is its value if it is known.

    The usual 1 costs no pass, and 0 gives zeros where a gradient has overflowed too.
    """
    if number == 1.0:
        return grad
    if number == 0.0:
        return torch.zeros_like(grad)
    if torch.compiler.is_compiling():  # joins the product, while on its own it would be a pass
        return torch.where(grad_loss == 0.0, 0.0, grad * grad_loss)
    return grad * grad_loss


def _rounds(inputs: Any) -> bool:
    """Whether a gradient is of 16 bits, where a product with the incoming one must come before the rounding: loss
    scaling would find zeros and lost digits."""
    return any(inputs[i] is not None and inputs[i].dtype in _SIXTEEN_BITS for i in _AT)


def _take_gradients(ctx: Any) -> list[Tensor]:
    """The gradients that the forward made, given away: what receives them may keep them, in place of a copy.

    A second backward of a retained graph makes them again, so that no caller holds what another one got.
    """
    grads, ctx.gradients = ctx.gradients, []
    return grads


def _can_look(tensor: Tensor) -> bool:
    """Whether asking for a number is free, and there is one: not on a GPU, where it would wait for the device, nor
    while compiling, nor of mapped gradients, nor of one that has a tangent."""
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling() and not needs_torch_code(tensor)

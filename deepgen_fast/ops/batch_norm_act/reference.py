"""Plain-torch specification of batch normalization and activation, and its backward as differentiable torch code."""

from __future__ import annotations

import torch
from torch import Tensor

from deepgen_fast.ops.activation import NONE, activate, gradient_from_argument
from deepgen_fast.ops.rows import accumulation_dtype

_OTHERS = (0, 2, 3)  # every dimension of an image but the channels


def channel_statistics(input: Tensor) -> Tensor:
    """``[2, channels]`` in float64: mean, and sum of squared deviations from it, over batch, height and width."""
    wide = input.double()
    mean = wide.mean(_OTHERS)
    return torch.stack((mean, (wide - mean.view(-1, 1, 1)).square().sum(_OTHERS)))


def moments(input: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Mean and 1 / standard deviation of each channel, differentiable."""
    wide = input.to(accumulation_dtype(input.dtype))
    mean = wide.mean(_OTHERS)
    variance = (wide - mean.view(-1, 1, 1)).square().mean(_OTHERS)
    return mean, torch.rsqrt(variance + eps)


def _normalize(
    input: Tensor, mean: Tensor, invstd: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The normalized input, and the activation's argument."""
    dtype = accumulation_dtype(input.dtype)
    normalized = (input.to(dtype) - mean.to(dtype).view(-1, 1, 1)) * invstd.to(dtype).view(-1, 1, 1)
    argument = normalized if weight is None else normalized * weight.to(dtype).view(-1, 1, 1)
    return normalized, argument if bias is None else argument + bias.to(dtype).view(-1, 1, 1)


def batch_norm_act(
    input: Tensor, mean: Tensor, invstd: Tensor, weight: Tensor | None, bias: Tensor | None, activation: int,
    negative_slope: float,
) -> Tensor:  # fmt: skip
    """act((input - mean) * invstd * weight + bias), statistics and parameters of shape ``[channels]``."""
    _, argument = _normalize(input, mean, invstd, weight, bias)
    return activate(argument, activation, negative_slope).to(input.dtype)


def batch_norm_act_backward(
    grad_output: Tensor, input: Tensor, mean: Tensor, invstd: Tensor, weight: Tensor | None, bias: Tensor | None,
    activation: int, negative_slope: float, training: bool, need_input: bool, need_affine: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of input, weight and bias; in ``training``, mean and invstd are functions of the input.

    Batch normalization takes from the incoming gradient its mean, and its part along the normalized input.
    """
    normalized, argument = _normalize(input, mean, invstd, weight, bias)
    grad = gradient_from_argument(grad_output.to(argument.dtype), argument, activation, negative_slope)
    grad_input = grad_weight = grad_bias = grad.new_empty(0)
    if need_affine or training:
        # In float64, as the kernels add: the sums are long.
        grad_weight = (grad * normalized).sum(_OTHERS, dtype=torch.float64).to(grad.dtype)
        grad_bias = grad.sum(_OTHERS, dtype=torch.float64).to(grad.dtype)
    if need_input:
        scale = invstd.to(argument.dtype) if weight is None else invstd.to(argument.dtype) * weight.to(argument.dtype)
        if training:
            count = max(input.numel() // max(input.shape[1], 1), 1)
            along = normalized * (grad_weight / count).view(-1, 1, 1)
            grad = grad - (grad_bias / count).view(-1, 1, 1) - along
        grad_input = (grad * scale.view(-1, 1, 1)).to(input.dtype)
    return grad_input, grad_weight, grad_bias


def batch_norm_act_tangent(
    tangent_input: Tensor | None, tangent_weight: Tensor | None, tangent_bias: Tensor | None, input: Tensor,
    mean: Tensor, invstd: Tensor, weight: Tensor | None, bias: Tensor | None, activation: int, negative_slope: float,
    training: bool,
) -> Tensor:  # fmt: skip
    """What these tangents make the output move by, to first order; in ``training`` through mean and invstd as well."""
    normalized, argument = _normalize(input, mean, invstd, weight, bias)
    wide = argument.dtype
    tangent = torch.zeros_like(argument)
    if tangent_input is not None:
        # Normalization takes from a tangent what it takes from a gradient: its derivative is symmetric.
        tangent, _, _ = batch_norm_act_backward(
            tangent_input.to(wide), input.to(wide), mean, invstd, weight, bias, NONE, 0.0, training, True, False
        )
    if tangent_weight is not None:
        tangent = tangent + normalized * tangent_weight.to(wide).view(-1, 1, 1)
    if tangent_bias is not None:
        tangent = tangent + tangent_bias.to(wide).view(-1, 1, 1)
    return gradient_from_argument(tangent, argument, activation, negative_slope).to(input.dtype)

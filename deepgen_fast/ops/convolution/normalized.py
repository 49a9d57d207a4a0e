"""A convolution, batch normalization and activation: the least passes over memory that mode and gradients allow."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from deepgen_fast.ops.activation import LEAKY_RELU, NONE, activate
from deepgen_fast.ops.autograd import needs_gradient, transforming
from deepgen_fast.ops.batch_norm_act.function import (
    Norm,
    check_numbers,
    folded,
    normalize_by_batch,
    normalize_by_running,
)
from deepgen_fast.ops.checks import check_device, check_flag, check_tensor
from deepgen_fast.ops.convolution import dispatch
from deepgen_fast.ops.convolution.arguments import Operands
from deepgen_fast.ops.convolution.convolve import convolve, plain_convolution, pytorchs, uses_torch_conv
from deepgen_fast.ops.convolution.dispatch import Epilogue
from deepgen_fast.ops.convolution.geometry import Geometry
from deepgen_fast.ops.rows import accumulation_dtype
from deepgen_fast.tracing import exporting


def conv_act(operands: Operands, transposed: bool, activation: int, negative_slope: float) -> Tensor:
    """Without a norm: bias and activation in the epilogue, the activation's derivative from the output."""
    if activation == NONE:
        return plain_convolution(operands, transposed)
    if activation == LEAKY_RELU and negative_slope < 0:  # the output does not tell the argument's sign
        return activate(plain_convolution(operands, transposed), activation, negative_slope)
    return convolve(operands, transposed, Epilogue(activation, negative_slope))[0]


def conv_norm_act(
    operands: Operands, transposed: bool, norm: Norm, training: bool, activation: int, negative_slope: float
) -> Tensor:
    """Training: statistics from the epilogue, then one pass. Evaluation: all in the epilogue, but for gradients."""
    if exporting():  # where nobody saves a pass, and autograd may go through the program
        image, weight, bias, output_padding, descriptor, _ = operands
        sizes = (descriptor.geometry.stride, descriptor.geometry.padding, output_padding)
        return recorded_layer(transposed, image, weight, bias, sizes, norm, training, activation, negative_slope)
    backend = operands.descriptor.norm_backend
    if training:
        if uses_torch_conv(operands, transposed):
            output, statistics = plain_convolution(operands, transposed), None
        else:
            output, statistics = convolve(operands, transposed, Epilogue(statistics=True))
        return normalize_by_batch(output, statistics, norm, activation, negative_slope, backend, reusable=True)
    recorded = transforming() or needs_gradient(operands.image, operands.weight, operands.bias, norm.weight, norm.bias)
    if recorded or not _takes_scale(operands, transposed):
        output = plain_convolution(operands, transposed)
        return normalize_by_running(output, norm, activation, negative_slope, backend, reusable=True)
    image, weight, bias, output_padding, descriptor, _ = operands
    scale, shift = folded(norm, bias, image.dtype)
    epilogue = Epilogue(activation, negative_slope)
    if transposed:
        return dispatch.conv_transpose2d(image, weight, scale, shift, output_padding, descriptor, epilogue)[0]
    return dispatch.conv2d(image, weight, scale, shift, descriptor, epilogue)[0]


def recorded_layer(
    transposed: bool, x: Tensor, weight: Tensor, bias: Tensor | None, sizes: tuple[Any, ...], norm: Norm | None,
    training: bool, activation: int, negative_slope: float,
) -> Tensor:  # fmt: skip
    """The layer by PyTorch's operators, for a program that is recorded.

    Args:
        sizes: stride, padding and output padding.
    """
    output = pytorchs(transposed, x, weight, bias, *sizes)
    if norm is not None:
        running_mean, running_var, scale, shift, momentum, eps = norm
        output = F.batch_norm(output, running_mean, running_var, scale, shift, training, momentum, eps)
    return activate(output, activation, negative_slope)


def _takes_scale(operands: Operands, transposed: bool) -> bool:
    """Whether the kernel that was chosen scales and shifts while it writes, at no cost."""
    image, weight, _, output_padding, descriptor, _ = operands
    choice = descriptor.forward_choice(transposed, image, weight, output_padding, fused=True)
    return dispatch.fuses_epilogue(choice)


def check_norm(operands: Operands, transposed: bool, norm: Norm, training: bool) -> None:
    """Everything that batch normalization's arguments must satisfy."""
    image, weight, _, output_padding, descriptor, _ = operands
    if not image.is_floating_point():
        raise TypeError(f"x must have a floating dtype where it is normalized, got {image.dtype}")
    channels = weight.shape[1 if transposed else 0]
    named = {
        "running_mean": norm.running_mean,
        "running_var": norm.running_var,
        "bn_weight": norm.weight,
        "bn_bias": norm.bias,
    }
    for name, value in named.items():
        if value is None:
            continue
        check_tensor(name, value)
        check_device(name, value, "x", image)
        if tuple(value.shape) != (channels,):
            raise ValueError(f"{name} must have shape [out_channels], [{channels}], got {list(value.shape)}")
        if value.dtype != image.dtype and value.dtype != accumulation_dtype(image.dtype):
            raise TypeError(
                f"{name} must have the dtype of x, {image.dtype}, or float32 for one of 16 bits, got {value.dtype}"
            )
    check_flag("training", training)
    if not training and (norm.running_mean is None or norm.running_var is None):
        raise ValueError("running_mean and running_var must be given where training is False")
    if (norm.running_mean is None) != (norm.running_var is None):
        given = "running_var" if norm.running_mean is None else "running_mean"
        raise ValueError(f"running_mean and running_var must both be given or both be None, got {given} alone")
    check_numbers(norm, training)
    if training:
        _check_batch(image, descriptor.geometry, transposed, output_padding, channels)


def _check_batch(
    image: Tensor, geometry: Geometry, transposed: bool, output_padding: tuple[int, int], channels: int
) -> None:
    """One value a channel has no variance."""
    size = (image.shape[2], image.shape[3])
    height, width = geometry.large_size(size, output_padding) if transposed else geometry.small_size(size)
    if image.shape[0] * height * width == 1:
        raise ValueError(
            "x must give more than 1 value per channel when training, "
            f"got an output of shape {[image.shape[0], channels, height, width]}"
        )

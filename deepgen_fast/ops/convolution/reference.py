"""Plain-torch specification of the three kernels: PyTorch's own convolution and an epilogue."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from deepgen_fast.ops.activation import activate_
from deepgen_fast.ops.batch_norm_act.reference import channel_statistics
from deepgen_fast.ops.convolution.geometry import Pair


def epilogue(
    output: Tensor, scale: Tensor | None, shift: Tensor | None, activation: int, slope: float, statistics: bool
) -> tuple[Tensor, Tensor]:
    """activation(output * scale + shift), per channel, in place of a fresh ``output``; ``statistics`` of the result."""
    if scale is not None or shift is not None:
        wide = output.to(torch.promote_types(output.dtype, torch.float32))
        wide = wide if scale is None else wide * scale.view(-1, 1, 1)
        wide = wide if shift is None else wide + shift.view(-1, 1, 1)
        output = wide.to(output.dtype)
    output = activate_(output, activation, slope)
    return output, channel_statistics(output) if statistics else output.new_empty(0, dtype=torch.float64)


def _own_bias(input: Tensor, scale: Tensor | None, shift: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Without a scale, a shift is PyTorch's bias; gives (bias, what is left of the shift)."""
    return (None, shift) if scale is not None or shift is None else (shift.to(input.dtype), None)


def conv_transpose2d(
    input: Tensor, weight: Tensor, scale: Tensor | None, shift: Tensor | None, stride: int | Pair, padding: int | Pair,
    output_padding_h: int, output_padding_w: int, activation: int, negative_slope: float, statistics: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """small ``[N, A, h, w]``, weight ``[A, B, k, k]`` -> large ``[N, B, H, W]``."""
    bias, shift = _own_bias(input, scale, shift)
    output_padding = (output_padding_h, output_padding_w)
    output = F.conv_transpose2d(input, weight, bias, stride, padding, output_padding)
    return epilogue(output, scale, shift, activation, negative_slope, statistics)


def conv2d(
    input: Tensor, weight: Tensor, scale: Tensor | None, shift: Tensor | None, stride: int | Pair, padding: int | Pair,
    activation: int, negative_slope: float, statistics: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """large ``[N, B, H, W]``, weight ``[A, B, k, k]`` -> small ``[N, A, h, w]``."""
    bias, shift = _own_bias(input, scale, shift)
    output = F.conv2d(input, weight, bias, stride, padding)
    return epilogue(output, scale, shift, activation, negative_slope, statistics)


def conv2d_weight_gradient(
    small: Tensor, large: Tensor, kernel: int | Pair, stride: int | Pair, padding: int | Pair
) -> Tensor:
    """Gradient of ``conv2d`` with respect to its weight, ``[A, B, k, k]``, for incoming gradient ``small``."""
    kernel, stride, padding = (
        value if isinstance(value, tuple) else (value, value) for value in (kernel, stride, padding)
    )
    # Only the weight's shape and layout are looked at.
    weight = small.new_empty((1, 1, 1, 1)).expand(small.shape[1], large.shape[1], *kernel)
    _, gradient, _ = torch.ops.aten.convolution_backward(
        small, large, weight, None, stride, padding, (1, 1), False, (0, 0), 1, (False, True, False)
    )
    return gradient

"""Calls of the C++ operators, and their fake kernels for torch.compile.

Outputs of convolutions are channels_last. The cost model asks ``has_kernel`` before it chooses them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from deepgen_fast.ops.convolution.geometry import Geometry, Pair

# By device. On a GPU other types are faster by PyTorch's own operator.
DTYPES = {"cpu": (torch.float32, torch.float64, torch.bfloat16), "cuda": (torch.float32,)}


def conv_transpose2d(
    input: Tensor, weight: Tensor, scale: Tensor | None, shift: Tensor | None, stride: int, padding: int,
    output_padding_h: int, output_padding_w: int, activation: int, negative_slope: float, statistics: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    return torch.ops.deepgen_fast.conv_transpose2d.default(
        input, weight, scale, shift, stride, padding, output_padding_h, output_padding_w, activation, negative_slope,
        statistics,
    )  # fmt: skip


def conv2d(
    input: Tensor, weight: Tensor, scale: Tensor | None, shift: Tensor | None, stride: int, padding: int,
    activation: int, negative_slope: float, statistics: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    return torch.ops.deepgen_fast.conv2d.default(
        input, weight, scale, shift, stride, padding, activation, negative_slope, statistics
    )


def conv2d_weight_gradient(small: Tensor, large: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    return torch.ops.deepgen_fast.conv2d_weight_gradient.default(small, large, kernel, stride, padding)


def _fake_outputs(input: Tensor, channels: int, size: Pair, statistics: bool) -> tuple[Tensor, Tensor]:
    output = input.new_empty((input.shape[0], channels, *size)).to(memory_format=torch.channels_last)
    return output, input.new_empty((2, channels) if statistics else (0,), dtype=torch.float64)


def _square(weight: Tensor, stride: int, padding: int) -> Geometry:
    kernel = (int(weight.shape[2]), int(weight.shape[3]))
    return Geometry(kernel, (stride, stride), (padding, padding))


def _fake_conv_transpose2d(
    input: Tensor, weight: Tensor, scale: Tensor | None, shift: Tensor | None, stride: int, padding: int,
    output_padding_h: int, output_padding_w: int, activation: int, negative_slope: float, statistics: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    small = (input.shape[2], input.shape[3])
    size = _square(weight, stride, padding).large_size(small, (output_padding_h, output_padding_w))
    return _fake_outputs(input, weight.shape[1], size, statistics)


def _fake_conv2d(
    input: Tensor, weight: Tensor, scale: Tensor | None, shift: Tensor | None, stride: int, padding: int,
    activation: int, negative_slope: float, statistics: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    size = _square(weight, stride, padding).small_size((input.shape[2], input.shape[3]))
    return _fake_outputs(input, weight.shape[0], size, statistics)


def _fake_weight_gradient(small: Tensor, large: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    return small.new_empty((small.shape[1], large.shape[1], kernel, kernel))


def _fake_in_format(image: Tensor, channels_last: bool) -> Tensor:
    return image.new_empty(image.shape).to(
        memory_format=torch.channels_last if channels_last else torch.contiguous_format
    )


for _name, _fake in (
    ("conv_transpose2d", _fake_conv_transpose2d),
    ("conv2d", _fake_conv2d),
    ("conv2d_weight_gradient", _fake_weight_gradient),
    ("in_format", _fake_in_format),
):
    if hasattr(torch.ops.deepgen_fast, _name):
        torch.library.register_fake(f"deepgen_fast::{_name}", _fake)

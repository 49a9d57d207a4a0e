"""Image layers, of a few channels on the large side (128 -> 3, 3 -> 128): native operators of their own.

Launchers have the signatures of the engine's, but take no statistics.
"""

from __future__ import annotations

import torch
from torch import Tensor

from deepgen_fast.ops.convolution import native
from deepgen_fast.ops.convolution.geometry import Geometry, Shapes
from deepgen_fast.ops.kernels import has_kernel

MOST_CHANNELS = 16
_OPERATORS = {
    "conv_transpose2d": "few_channels_conv_transpose2d",
    "conv2d": "few_channels_conv2d",
    "conv2d_weight_gradient": "few_channels_weight_gradient",
}


def unavailable(
    operator: str, geometry: Geometry, shapes: Shapes, dtype: torch.dtype, device_type: str, backend: str
) -> str | None:
    """None where the operators for few channels serve these operands, else why not."""
    if shapes.large_channels > MOST_CHANNELS or not geometry.engine_serves():
        return (
            "it needs a 1x1 image and one of the kernel's size without padding, or a large image of at most "
            f"{MOST_CHANNELS} channels; these are {shapes}, {geometry}"
        )
    if dtype not in native.DTYPES:
        return f"it is built for float32, float64 and bfloat16; this is {str(dtype).removeprefix('torch.')}"
    if backend not in ("cpu", "cuda"):
        return f"it is in the native libraries; this is backend {backend!r}"
    if not has_kernel(_OPERATORS[operator], device_type):
        return f"the library that is loaded has no {_OPERATORS[operator]} on {device_type}"
    return None


def conv_transpose2d(
    input: Tensor, weight: Tensor, scale: Tensor | None, shift: Tensor | None, stride: int, padding: int,
    output_padding_h: int, output_padding_w: int, activation: int, negative_slope: float, statistics: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    scale, shift = native.channel_operand(scale, input), native.channel_operand(shift, input)
    output = torch.ops.deepgen_fast.few_channels_conv_transpose2d.default(
        input, weight, scale, shift, stride, padding, output_padding_h, output_padding_w, activation, negative_slope
    )
    return output, output.new_empty(0)


def conv2d(
    input: Tensor, weight: Tensor, scale: Tensor | None, shift: Tensor | None, stride: int, padding: int,
    activation: int, negative_slope: float, statistics: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    scale, shift = native.channel_operand(scale, input), native.channel_operand(shift, input)
    output = torch.ops.deepgen_fast.few_channels_conv2d.default(
        input, weight, scale, shift, stride, padding, activation, negative_slope
    )
    return output, output.new_empty(0)


def conv2d_weight_gradient(small: Tensor, large: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    return torch.ops.deepgen_fast.few_channels_weight_gradient.default(small, large, kernel, stride, padding)

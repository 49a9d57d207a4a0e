"""Image layers, of a few channels on the large side (128 -> 3, 3 -> 128): native operators of their own.

Launchers have the signatures of the engine's, but take no statistics.
"""

from __future__ import annotations

import torch
from torch import Tensor

from deepgen_fast.ops.convolution.geometry import Geometry, Pair, Shapes
from deepgen_fast.ops.kernels import dtype_unavailable, has_kernel
from deepgen_fast.ops.memory_format import channels_last

MOST_CHANNELS = 16  # of the large image
MOST_TAPS = 16  # along an axis
DTYPES = {  # by device
    "cpu": (torch.float32, torch.float64, torch.bfloat16, torch.float16),
    "cuda": (torch.float32, torch.float64),
}
_OPERATORS = {
    "conv_transpose2d": "few_channels_conv_transpose2d",
    "conv2d": "few_channels_conv2d",
    "conv2d_weight_gradient": "few_channels_weight_gradient",
}


def unavailable(
    operator: str, geometry: Geometry, shapes: Shapes, dtype: torch.dtype, device_type: str, backend: str
) -> str | None:
    """None where the operators for few channels serve these operands, else why not."""
    (kernel, width), (stride, stride_w), (padding, padding_w) = geometry
    square = kernel == width and stride == stride_w and padding == padding_w
    if shapes.large_channels > MOST_CHANNELS or not square or max(kernel, stride, padding + 1) > MOST_TAPS:
        return (
            "it needs a 1x1 image and one of the kernel's size without padding, or a large image of at most "
            f"{MOST_CHANNELS} channels and a square kernel of at most {MOST_TAPS}; these are {shapes}, {geometry}"
        )
    if 0 in shapes.small or shapes.small_channels == 0 or shapes.large_channels == 0:
        return f"it needs pixels and channels; these are {shapes}"
    if backend not in ("cpu", "cuda"):
        return f"it is in the native libraries; this is backend {backend!r}"
    if not has_kernel(_OPERATORS[operator], device_type):
        return f"the library that is loaded has no {_OPERATORS[operator]} on {device_type}"
    return dtype_unavailable("few channels", dtype, DTYPES[device_type], device_type)


def _dense(image: Tensor) -> Tensor:
    """The operators read and write either format as it lies; of other strides they have a copy."""
    if image.is_contiguous() or image.is_contiguous(memory_format=torch.channels_last):
        return image
    return image.contiguous()


def conv_transpose2d(
    input: Tensor, weight: Tensor, scale: Tensor | None, shift: Tensor | None, stride: int, padding: int,
    output_padding_h: int, output_padding_w: int, activation: int, negative_slope: float, statistics: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    output = torch.ops.deepgen_fast.few_channels_conv_transpose2d.default(
        _dense(input),
        weight,
        scale,
        shift,
        stride,
        padding,
        output_padding_h,
        output_padding_w,
        activation,
        negative_slope,
    )
    return output, output.new_empty(0)


def conv2d(
    input: Tensor, weight: Tensor, scale: Tensor | None, shift: Tensor | None, stride: int, padding: int,
    activation: int, negative_slope: float, statistics: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    output = torch.ops.deepgen_fast.few_channels_conv2d.default(
        _dense(input), weight, scale, shift, stride, padding, activation, negative_slope
    )
    return output, output.new_empty(0)


def conv2d_weight_gradient(small: Tensor, large: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    return torch.ops.deepgen_fast.few_channels_weight_gradient.default(
        _dense(small), _dense(large), kernel, stride, padding
    )


def _fake_output(input: Tensor, channels: int, size: Pair) -> Tensor:
    output = input.new_empty((input.shape[0], channels, *size))
    last = channels_last(input) or (input.shape[2] == 1 and input.shape[3] == 1)
    return output.to(memory_format=torch.channels_last) if last else output


def _square(weight: Tensor, stride: int, padding: int) -> Geometry:
    kernel = (int(weight.shape[2]), int(weight.shape[3]))
    return Geometry(kernel, (stride, stride), (padding, padding))


def _fake_conv_transpose2d(
    input: Tensor, weight: Tensor, scale: Tensor | None, shift: Tensor | None, stride: int, padding: int,
    output_padding_h: int, output_padding_w: int, activation: int, negative_slope: float,
) -> Tensor:  # fmt: skip
    small = (input.shape[2], input.shape[3])
    size = _square(weight, stride, padding).large_size(small, (output_padding_h, output_padding_w))
    return _fake_output(input, weight.shape[1], size)


def _fake_conv2d(
    input: Tensor, weight: Tensor, scale: Tensor | None, shift: Tensor | None, stride: int, padding: int,
    activation: int, negative_slope: float,
) -> Tensor:  # fmt: skip
    size = _square(weight, stride, padding).small_size((input.shape[2], input.shape[3]))
    return _fake_output(input, weight.shape[0], size)


def _fake_weight_gradient(small: Tensor, large: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    return small.new_empty((small.shape[1], large.shape[1], kernel, kernel))


for _name, _fake in (
    ("conv_transpose2d", _fake_conv_transpose2d),
    ("conv2d", _fake_conv2d),
    ("weight_gradient", _fake_weight_gradient),
):
    if hasattr(torch.ops.deepgen_fast, f"few_channels_{_name}"):
        torch.library.register_fake(f"deepgen_fast::few_channels_{_name}", _fake)

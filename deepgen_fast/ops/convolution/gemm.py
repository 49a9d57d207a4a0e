"""The edge layers as one matrix product: 1x1 to the kernel's size, and the kernel's size to 1x1.

The first layer of a DCGAN's generator maps a latent ``[N, A, 1, 1]`` to ``[N, B, k, k]``, the last of its discriminator
``[N, B, k, k]`` to ``[N, A, 1, 1]``. Each is one product with the weight as it lies in memory. Launchers have the
signatures of the native operators.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from deepgen_fast.ops.convolution.geometry import Geometry, Pair, Shapes
from deepgen_fast.ops.convolution.reference import epilogue
from deepgen_fast.ops.memory_format import channels_last, owned


def serves(geometry: Geometry, shapes: Shapes) -> bool:
    """One pixel on one side, exactly the kernel on the other."""
    return shapes.small == (1, 1) and shapes.large == geometry.kernel and geometry.padding == (0, 0)


def _matrix(image: Tensor, last: bool) -> Tensor:
    """``[rows, channels * height * width]``, or ``[rows, height * width * channels]``; a view where strides allow."""
    return (image.permute(0, 2, 3, 1) if last else image).flatten(1)


def _image(matrix: Tensor, channels: int, size: Pair, last: bool) -> Tensor:
    """The matrix, which nobody else has, as an image ``[rows, channels, height, width]``."""
    image = matrix.view(-1, *size, channels).permute(0, 3, 1, 2) if last else matrix.view(-1, channels, *size)
    return owned(image)


def _cheaper_order(first: Tensor, second: Tensor) -> bool:
    """Whether channels go last in both matrices: where they disagree, the one of fewer rows is copied."""
    one, two = channels_last(first), channels_last(second)
    if one == two:
        return one
    return two if first.shape[0] < second.shape[0] else one


def conv_transpose2d(
    input: Tensor, weight: Tensor, scale: Tensor | None, shift: Tensor | None, stride: int | Pair, padding: int | Pair,
    output_padding_h: int, output_padding_w: int, activation: int, negative_slope: float, statistics: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """``[N, A, 1, 1]``, weight ``[A, B, k, k]`` -> ``[N, B, k, k]``."""
    (rows, _, _, _), (inner, channels, *size) = input.shape, weight.shape
    # A result in the other order than the weight's costs a copy of one of them.
    last = channels_last(weight) or (channels_last(input) and inner < rows)
    columns = _matrix(weight, last)
    pixels = size[0] * size[1]
    if shift is not None and scale is None:
        bias = shift.to(input.dtype)
        bias = bias.repeat(pixels) if last else bias.repeat_interleave(pixels)
        output, shift = torch.addmm(bias, input.flatten(1), columns), None
    else:
        output = input.flatten(1) @ columns
    return epilogue(
        _image(output, channels, (size[0], size[1]), last), scale, shift, activation, negative_slope, statistics
    )


def conv2d(
    input: Tensor, weight: Tensor, scale: Tensor | None, shift: Tensor | None, stride: int | Pair, padding: int | Pair,
    activation: int, negative_slope: float, statistics: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """``[N, B, k, k]``, weight ``[A, B, k, k]`` -> ``[N, A, 1, 1]``."""
    order = _cheaper_order(input, weight)
    bias = None
    if shift is not None and scale is None:
        bias, shift = shift.to(input.dtype), None
    output = F.linear(_matrix(input, order), _matrix(weight, order), bias)
    image = _image(output, weight.shape[0], (1, 1), channels_last(input) or channels_last(weight))
    return epilogue(image, scale, shift, activation, negative_slope, statistics)


def conv2d_weight_gradient(
    small: Tensor, large: Tensor, kernel: int | Pair, stride: int | Pair, padding: int | Pair
) -> Tensor:
    """``[N, A, 1, 1]`` and ``[N, B, k, k]`` -> ``[A, B, k, k]``, in the memory order of ``large``."""
    last = channels_last(large)
    _, channels, *size = large.shape
    return _image(small.flatten(1).t() @ _matrix(large, last), channels, (size[0], size[1]), last)

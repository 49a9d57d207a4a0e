"""Triton launchers of convolution, transposed convolution and their weight gradient, with the native signatures.

Images and weights are taken in any layout; outputs are channels-last. float64, which is for checks, is PyTorch's.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
from torch import Tensor

from deepgen_fast.ops.convolution import reference
from deepgen_fast.ops.convolution.geometry import Geometry, Pair
from deepgen_fast.ops.convolution.precision import tf32_allowed
from deepgen_fast.ops.convolution.triton_kernels import convolution_kernel, weight_gradient_kernel
from deepgen_fast.ops.convolution.triton_tiles import convolution_tile, is_packed, weight_gradient_tile
from deepgen_fast.ops.memory_format import owned
from deepgen_fast.ops.triton_activation import NO_ACTIVATION, activation_constants
from deepgen_fast.ops.triton_channels import (
    Moments,
    channel_unit,
    channels_last,
    column_sums,
    combine_moments,
    empty_channels_last,
)
from deepgen_fast.ops.triton_compile import traceable
from deepgen_fast.ops.triton_tiles import is_wide, on_device_of


def product_precision(dtype: torch.dtype) -> str:
    """How float32 products are formed: as in PyTorch's own convolution."""
    return "tf32" if dtype == torch.float32 and tf32_allowed() else "ieee"


def _widened(tensor: Tensor) -> bool:
    """Whether products go through float32: for bfloat16 in the interpreter, which runs on CPU tensors."""
    return tensor.dtype == torch.bfloat16 and tensor.device.type == "cpu"


class _Product(NamedTuple):
    """What the kernel is compiled for."""

    transposed: bool
    kernel: int
    stride: int
    padding: int


def _dense(vector: Tensor | None) -> Tensor | None:
    return None if vector is None else vector.contiguous()


def _convolve(
    product: _Product,
    input: Tensor,
    weight: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    shape: tuple[int, int, int, int],
    activation: int,
    negative_slope: float,
    statistics: bool,
) -> tuple[Tensor, Tensor]:
    if statistics and activation != NO_ACTIVATION.value:
        raise ValueError(f"statistics are taken before an activation: activation must be 0, got {activation}")
    batch, input_channels, input_height, input_width = input.shape
    input, scale, shift = channels_last(input), _dense(scale), _dense(shift)
    weight = channels_last(weight.transpose(0, 1) if product.transposed else weight)
    _, output_channels, output_height, output_width = shape
    output, found = _fake_output(input, shape, statistics)
    if output.numel() == 0:
        return output, found.zero_()
    axis_phases = product.stride if product.transposed else 1
    phases = axis_phases * axis_phases
    phase_height, phase_width = triton.cdiv(output_height, axis_phases), triton.cdiv(output_width, axis_phases)
    pixels, precision = batch * phase_height * phase_width, product_precision(input.dtype)
    tile = convolution_tile(pixels, phases, input_channels, output_channels, input.dtype, precision)
    row_tiles, col_tiles = triton.cdiv(pixels, tile.rows), triton.cdiv(output_channels, tile.cols)
    input_unit, output_unit = channel_unit(input_channels), channel_unit(output_channels)
    moments = Moments.empty(row_tiles * phases, output_channels, input.device) if statistics else None
    with on_device_of(input):
        convolution_kernel[(row_tiles * col_tiles * phases,)](
            output, *(moments or (None, None)), input, weight, scale, shift, batch,
            input_height, input_width, output_height, output_width, phase_height, phase_width,
            input_channels // input_unit, output_channels // output_unit, row_tiles, col_tiles,
            TRANSPOSED=product.transposed, KERNEL=product.kernel, STRIDE=product.stride, PADDING=product.padding,
            **activation_constants(activation, negative_slope), PRECISION=precision, WIDEN=_widened(input),
            INPUT_UNIT=input_unit, OUTPUT_UNIT=output_unit, PACKED=is_packed(input_channels),
            FULL_INPUT=input_channels % tile.depth == 0 and not is_packed(input_channels),
            FULL_OUTPUT=output_channels % tile.cols == 0, ROWS=tile.rows, COLS=tile.cols, DEPTH=tile.depth,
            GROUP=tile.group, WIDE=is_wide(input.numel(), output.numel(), weight.numel(), pixels + tile.rows),
            **tile.options(),
        )  # fmt: skip
        return output, found if moments is None else combine_moments(moments)


def _square(kernel: int, stride: int, padding: int) -> Geometry:
    return Geometry((kernel, kernel), (stride, stride), (padding, padding))


def _transposed_shape(
    input: Tensor, weight: Tensor, stride: int, padding: int, output_padding: Pair
) -> tuple[int, int, int, int]:
    small = (input.shape[2], input.shape[3])
    size = _square(weight.shape[-1], stride, padding).large_size(small, output_padding)
    return input.shape[0], weight.shape[1], *size


def _convolved_shape(input: Tensor, weight: Tensor, stride: int, padding: int) -> tuple[int, int, int, int]:
    large = (input.shape[2], input.shape[3])
    return input.shape[0], weight.shape[0], *_square(weight.shape[-1], stride, padding).small_size(large)


def _fake_output(input: Tensor, shape: tuple[int, int, int, int], statistics: bool) -> tuple[Tensor, Tensor]:
    output = empty_channels_last(shape, input.dtype, input.device)
    return output, torch.empty((2, shape[1]) if statistics else (0,), dtype=torch.float64, device=input.device)


def _conv_transpose2d_fake(input, weight, scale, shift, stride, padding, padding_h, padding_w, *rest):
    shape = _transposed_shape(input, weight, stride, padding, (padding_h, padding_w))
    return _fake_output(input, shape, rest[-1])


def _conv2d_fake(input, weight, scale, shift, stride, padding, *rest):
    return _fake_output(input, _convolved_shape(input, weight, stride, padding), rest[-1])


@traceable(
    "conv_transpose2d(Tensor input, Tensor weight, Tensor? scale, Tensor? shift, int stride, int padding, "
    "int output_padding_h, int output_padding_w, int activation, float negative_slope, bool statistics) "
    "-> (Tensor, Tensor)",
    fake=_conv_transpose2d_fake,
    layout=None,
)
def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    stride: int,
    padding: int,
    output_padding_h: int,
    output_padding_w: int,
    activation: int,
    negative_slope: float,
    statistics: bool,
) -> tuple[Tensor, Tensor]:
    """(output [batch, B, H, W] channels-last, statistics [2, B] of float64 or no elements) of input [batch, A, h, w]
    and weight [A, B, kernel, kernel]."""
    if input.dtype == torch.float64:
        output, found = reference.conv_transpose2d(
            input, weight, scale, shift, stride, padding, output_padding_h, output_padding_w, activation,
            negative_slope, statistics,
        )  # fmt: skip
        return channels_last(output), found
    shape = _transposed_shape(input, weight, stride, padding, (output_padding_h, output_padding_w))
    product = _Product(True, weight.shape[-1], stride, padding)
    return _convolve(product, input, weight, scale, shift, shape, activation, negative_slope, statistics)


@traceable(
    "conv2d(Tensor input, Tensor weight, Tensor? scale, Tensor? shift, int stride, int padding, int activation, "
    "float negative_slope, bool statistics) -> (Tensor, Tensor)",
    fake=_conv2d_fake,
    layout=None,
)
def conv2d(
    input: Tensor,
    weight: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    stride: int,
    padding: int,
    activation: int,
    negative_slope: float,
    statistics: bool,
) -> tuple[Tensor, Tensor]:
    """(output [batch, A, h, w] channels-last, statistics [2, A] of float64 or no elements) of input [batch, B, H, W]
    and weight [A, B, kernel, kernel]."""
    if input.dtype == torch.float64:
        output, found = reference.conv2d(
            input, weight, scale, shift, stride, padding, activation, negative_slope, statistics
        )
        return channels_last(output), found
    shape = _convolved_shape(input, weight, stride, padding)
    product = _Product(False, weight.shape[-1], stride, padding)
    return _convolve(product, input, weight, scale, shift, shape, activation, negative_slope, statistics)


def _weight_gradient_fake(small: Tensor, large: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    return empty_channels_last((small.shape[1], large.shape[1], kernel, kernel), small.dtype, small.device)


@traceable(
    "conv2d_weight_gradient(Tensor small, Tensor large, int kernel, int stride, int padding) -> Tensor",
    fake=_weight_gradient_fake,
    layout=channels_last,
)
def conv2d_weight_gradient(small: Tensor, large: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """[A, B, kernel, kernel] channels-last, of small [batch, A, h, w] and large [batch, B, H, W].

    The pixels are split among programs; their partial gradients are added in order by a second kernel.
    """
    if small.dtype == torch.float64:
        return channels_last(reference.conv2d_weight_gradient(small, large, kernel, stride, padding))
    batch, small_channels, small_height, small_width = small.shape
    _, large_channels, large_height, large_width = large.shape
    pixels, taps = batch * small_height * small_width, kernel * kernel
    elements = small_channels * taps * large_channels
    if elements == 0 or pixels == 0:
        return _weight_gradient_fake(small, large, kernel, stride, padding).zero_()
    packed, precision = is_packed(large_channels), product_precision(small.dtype)
    columns, tap_programs = (taps * large_channels, 1) if packed else (large_channels, taps)
    tile, splits, steps = weight_gradient_tile(pixels, small_channels, large_channels, taps, small.dtype, precision)
    small_unit, large_unit = channel_unit(small_channels), channel_unit(large_channels)
    row_tiles, col_tiles = triton.cdiv(small_channels, tile.rows), triton.cdiv(columns, tile.cols)
    partial = torch.empty((splits, elements), dtype=torch.float32, device=small.device)
    with on_device_of(small):
        weight_gradient_kernel[(row_tiles * col_tiles * tap_programs, splits)](
            partial, small, large, pixels, small_height, small_width, large_height, large_width,
            small_channels // small_unit, large_channels // large_unit, steps, row_tiles, col_tiles, KERNEL=kernel,
            STRIDE=stride, PADDING=padding, PRECISION=precision, WIDEN=_widened(small),
            SMALL_UNIT=small_unit, LARGE_UNIT=large_unit, PACKED=packed, FULL_SMALL=small_channels % tile.rows == 0,
            FULL_LARGE=columns % tile.cols == 0 and not packed, ROWS=tile.rows, COLS=tile.cols, DEPTH=tile.depth,
            GROUP=tile.group,
            WIDE=is_wide(small.numel(), large.numel(), partial.numel(), splits * steps * tile.depth), **tile.options(),
        )  # fmt: skip
        gradient = column_sums(partial, small.dtype)
    return owned(gradient.view(small_channels, kernel, kernel, large_channels).movedim(-1, 1))

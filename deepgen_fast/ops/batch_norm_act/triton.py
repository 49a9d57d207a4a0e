"""Triton launchers of channel_statistics, batch_norm_act and its backward, with the native signatures.

Images are taken channels-last; outputs are channels-last.
"""

from __future__ import annotations

import torch
import triton
from torch import Tensor

from deepgen_fast.ops.batch_norm_act.triton_kernels import (
    backward_input_kernel,
    backward_sums_kernel,
    channel_moments_kernel,
    coefficients_kernel,
    forward_kernel,
)
from deepgen_fast.ops.rows import accumulation_dtype
from deepgen_fast.ops.triton_activation import activation_constants
from deepgen_fast.ops.triton_channels import (
    COMBINED_TILES,
    ChannelTile,
    Moments,
    channel_unit,
    channels_last,
    combine_moments,
    empty_channels_last,
)
from deepgen_fast.ops.triton_compile import traceable
from deepgen_fast.ops.triton_tiles import is_wide, on_device_of

_COEFFICIENT_TILES, _COEFFICIENT_CHANNELS = 32, 16


def _sizes(input: Tensor) -> tuple[int, int]:
    """(pixels, channels)."""
    channels = input.shape[1]
    return input.numel() // channels if channels else 0, channels


def _tiling(input: Tensor, tile: ChannelTile) -> dict[str, int | bool]:
    """The constants of every kernel that walks an image, the last program up to a 256th past its end."""
    return {
        "UNIT": channel_unit(input.shape[1]), "ROWS": tile.rows, "COLS": tile.cols, "FULL": tile.full,
        "WIDE": is_wide(input.numel() + input.numel() // 256 + 2 * tile.rows * tile.cols), **tile.options(),
    }  # fmt: skip


def _statistics_fake(input: Tensor) -> Tensor:
    return torch.empty((2, input.shape[1]), dtype=torch.float64, device=input.device)


@traceable("channel_statistics(Tensor input) -> Tensor", fake=_statistics_fake, layout=channels_last)
def channel_statistics(input: Tensor) -> Tensor:
    """[2, channels] of float64: mean, and sum of squared deviations from it, over batch and space."""
    pixels, channels = _sizes(input)
    if input.numel() == 0:
        return _statistics_fake(input).zero_()
    tile = ChannelTile.of(pixels, channels, elements=4096)
    moments = Moments.empty(tile.row_tiles, channels, input.device)
    with on_device_of(input):
        channel_moments_kernel[(tile.row_tiles * tile.col_tiles,)](
            *moments, input, pixels, channels // channel_unit(channels), tile.col_tiles,
            **_tiling(input, tile),
        )  # fmt: skip
        return combine_moments(moments)


def _forward_fake(input: Tensor, *rest) -> Tensor:
    return empty_channels_last(tuple(input.shape), input.dtype, input.device)


@traceable(
    "batch_norm_act(Tensor input, Tensor mean, Tensor invstd, Tensor? weight, Tensor? bias, int activation, "
    "float negative_slope) -> Tensor",
    fake=_forward_fake,
    layout=channels_last,
)
def batch_norm_act(
    input: Tensor,
    mean: Tensor,
    invstd: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    activation: int,
    negative_slope: float,
) -> Tensor:
    """activation((input - mean) * invstd * weight + bias), [batch, channels, *space] in the input's dtype."""
    output = _forward_fake(input)
    if output.numel() == 0:
        return output
    pixels, channels = _sizes(input)
    tile = ChannelTile.of(pixels, channels)
    with on_device_of(input):
        forward_kernel[(tile.row_tiles * tile.col_tiles,)](
            output, input, mean, invstd, weight, bias, pixels, channels // channel_unit(channels), tile.col_tiles,
            **activation_constants(activation, negative_slope), **_tiling(input, tile),
        )  # fmt: skip
    return output


def _backward_fake(
    grad_output, input, mean, invstd, weight, bias, activation, negative_slope, training, need_input, need_affine
) -> tuple[Tensor, Tensor, Tensor]:
    shape = (input.shape[1],) if need_affine else (0,)
    dtype, device = accumulation_dtype(input.dtype), input.device
    grad_input = _forward_fake(input) if need_input else torch.empty((0,), dtype=input.dtype, device=device)
    return (grad_input, torch.empty(shape, dtype=dtype, device=device), torch.empty(shape, dtype=dtype, device=device))


@traceable(
    "batch_norm_act_backward(Tensor grad_output, Tensor input, Tensor mean, Tensor invstd, Tensor? weight, "
    "Tensor? bias, int activation, float negative_slope, bool training, bool need_input, bool need_affine) "
    "-> (Tensor, Tensor, Tensor)",
    fake=_backward_fake,
    layout=channels_last,
)
def batch_norm_act_backward(
    grad_output: Tensor,
    input: Tensor,
    mean: Tensor,
    invstd: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    activation: int,
    negative_slope: float,
    training: bool,
    need_input: bool,
    need_affine: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """(grad_input, grad_weight [channels], grad_bias [channels]), of no elements where not needed; in ``training``
    mean and invstd are functions of the input. One pass for the sums over pixels, one for the input's gradient."""
    grads = _backward_fake(
        grad_output, input, mean, invstd, weight, bias, activation, negative_slope, training, need_input, need_affine
    )
    grad_input, grad_weight, grad_bias = grads
    if input.numel() == 0:
        return grad_input, grad_weight.zero_(), grad_bias.zero_()
    pixels, channels = _sizes(input)
    tile, units = ChannelTile.of(pixels, channels), channels // channel_unit(channels)
    operands = (grad_output, input, mean, invstd, weight, bias)
    constants, coefficients = activation_constants(activation, negative_slope), None
    with on_device_of(input):
        if need_affine or (need_input and training):
            steps = triton.cdiv(tile.row_tiles, COMBINED_TILES)
            chunks = triton.cdiv(tile.row_tiles, steps)
            partial = torch.empty((chunks, 2, channels), dtype=grad_weight.dtype, device=input.device)
            backward_sums_kernel[(chunks * tile.col_tiles,)](
                partial, *operands, pixels, units, tile.col_tiles, steps, **constants, **_tiling(input, tile),
            )  # fmt: skip
            if need_input and training:
                coefficients = torch.empty((2, channels), dtype=grad_weight.dtype, device=input.device)
            coefficients_kernel[(triton.cdiv(channels, _COEFFICIENT_CHANNELS),)](
                grad_weight if need_affine else None, grad_bias if need_affine else None, coefficients, partial,
                invstd, pixels, channels, chunks, TILES=_COEFFICIENT_TILES, COLS=_COEFFICIENT_CHANNELS, num_warps=4,
                enable_fp_fusion=False,
            )  # fmt: skip
        if need_input:
            backward_input_kernel[(tile.row_tiles * tile.col_tiles,)](
                grad_input, *operands, coefficients, pixels, units, tile.col_tiles, **constants,
                **_tiling(input, tile),
            )  # fmt: skip
    return grads

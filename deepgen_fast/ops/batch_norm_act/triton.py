"""Triton launchers of channel_statistics, batch_norm_act and its backward, with the native signatures.

Images [batch, channels, *space] stay in their layout, channels-last or else contiguous.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import triton
from torch import Tensor

from deepgen_fast.ops import memory_format
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


class _Walk(NamedTuple):
    """How the kernels walk an image: its size, and whether each channel's pixels are contiguous."""

    batch: int
    channels: int
    space: int  # pixels of one image
    planar: bool

    @classmethod
    def of(cls, image: Tensor) -> _Walk:
        batch, channels = image.shape[:2]
        space = math.prod(image.shape[2:])
        return cls(batch, channels, space, _is_planar(image))

    @property
    def pixels(self) -> int:
        """Of all images."""
        return self.batch * self.space

    def tile(self, elements: int) -> ChannelTile:
        if self.planar:
            rows = min(elements, max(256, triton.next_power_of_2(self.pixels)))
            return ChannelTile(rows, 1, triton.cdiv(self.pixels, rows), self.channels, True)
        return ChannelTile.of(self.pixels, self.channels, elements)

    def sizes(self, tile: ChannelTile) -> tuple[int, int, int, int]:
        """The kernels' arguments."""
        unit, space_unit = channel_unit(self.channels), channel_unit(self.space)
        return self.batch, self.channels // unit, self.space // space_unit, tile.col_tiles

    def constants(self, tile: ChannelTile) -> dict[str, int | bool]:
        """What the kernels are compiled for; a last program reaches up to a 256th past the image's end."""
        elements = self.pixels * self.channels
        return {
            "UNIT": channel_unit(self.channels), "SPACE_UNIT": channel_unit(self.space), "PLANAR": self.planar,
            "ROWS": tile.rows, "COLS": tile.cols, "FULL": tile.full,
            "WIDE": is_wide(elements + elements // 256 + 2 * tile.rows * tile.cols), **tile.options(),
        }  # fmt: skip


def _is_planar(image: Tensor) -> bool:
    return image.dim() > 2 and not memory_format.channels_last(image)


def _in_layout_of(image: Tensor, value: Tensor) -> Tensor:
    return value.contiguous() if _is_planar(image) else channels_last(value)


def _empty_like(image: Tensor) -> Tensor:
    if _is_planar(image):
        return torch.empty(tuple(image.shape), dtype=image.dtype, device=image.device)
    return empty_channels_last(tuple(image.shape), image.dtype, image.device)


def _dense(vector: Tensor | None) -> Tensor | None:
    return None if vector is None else vector.contiguous()


def _statistics_fake(input: Tensor) -> Tensor:
    return torch.empty((2, input.shape[1]), dtype=torch.float64, device=input.device)


@traceable("channel_statistics(Tensor input) -> Tensor", fake=_statistics_fake, layout=None)
def channel_statistics(input: Tensor) -> Tensor:
    """[2, channels] of float64: mean, and sum of squared deviations from it, over batch and space."""
    if input.numel() == 0:
        return _statistics_fake(input).zero_()
    walk = _Walk.of(input)
    tile = walk.tile(4096)
    moments = Moments.empty(tile.row_tiles, walk.channels, input.device)
    with on_device_of(input):
        channel_moments_kernel[(tile.row_tiles * tile.col_tiles,)](
            *moments, _in_layout_of(input, input), *walk.sizes(tile), **walk.constants(tile)
        )  # fmt: skip
        return combine_moments(moments)


def _forward_fake(input: Tensor, *rest) -> Tensor:
    return _empty_like(input)


@traceable(
    "batch_norm_act(Tensor input, Tensor mean, Tensor invstd, Tensor? weight, Tensor? bias, int activation, "
    "float negative_slope) -> Tensor",
    fake=_forward_fake,
    layout=None,
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
    walk = _Walk.of(input)
    tile = walk.tile(2048)
    with on_device_of(input):
        forward_kernel[(tile.row_tiles * tile.col_tiles,)](
            output, _in_layout_of(input, input), *map(_dense, (mean, invstd, weight, bias)), *walk.sizes(tile),
            **activation_constants(activation, negative_slope), **walk.constants(tile),
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
    layout=None,
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
    walk = _Walk.of(input)
    tile, channels, coefficients = walk.tile(2048), walk.channels, None
    images = (_in_layout_of(input, image) for image in (grad_output, input))
    operands = (*images, *map(_dense, (mean, invstd, weight, bias)))
    constants = activation_constants(activation, negative_slope) | walk.constants(tile)
    with on_device_of(input):
        if need_affine or (need_input and training):
            steps = triton.cdiv(tile.row_tiles, COMBINED_TILES)
            chunks = triton.cdiv(tile.row_tiles, steps)
            partial = torch.empty((chunks, 2, channels), dtype=grad_weight.dtype, device=input.device)
            backward_sums_kernel[(chunks * tile.col_tiles,)](
                partial, *operands, *walk.sizes(tile), steps, **constants
            )  # fmt: skip
            if need_input and training:
                coefficients = torch.empty((2, channels), dtype=grad_weight.dtype, device=input.device)
            coefficients_kernel[(triton.cdiv(channels, _COEFFICIENT_CHANNELS),)](
                grad_weight if need_affine else None, grad_bias if need_affine else None, coefficients, partial,
                operands[3], walk.pixels, channels, chunks, TILES=_COEFFICIENT_TILES, COLS=_COEFFICIENT_CHANNELS,
                num_warps=4, enable_fp_fusion=False,
            )  # fmt: skip
        if need_input:
            backward_input_kernel[(tile.row_tiles * tile.col_tiles,)](
                grad_input, *operands, coefficients, *walk.sizes(tile), **constants
            )  # fmt: skip
    return grads

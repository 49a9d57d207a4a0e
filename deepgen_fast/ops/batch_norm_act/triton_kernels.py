"""Triton kernels of batch normalization and the activation after it, on images in either layout.

A tile is pixels by channels; where images are planar, each channel's pixels contiguous, it is pixels of one channel.

The formulas are those of csrc/ops/batch_norm_act/math.h. With g the gradient of the activation's argument, over the
``count`` numbers of a channel,

    grad_bias = sum g,    grad_weight = invstd * sum g (x - mean),
    grad_input = invstd * weight * (g - grad_bias / count - (x - mean) * projection),
    projection = invstd^2 * sum g (x - mean) / count,

where mean and invstd are functions of the input; elsewhere grad_input = invstd * weight * g. Backward recomputes the
argument from the input: one pass for the sums, one for the gradient.
"""

from __future__ import annotations

import triton
import triton.language as tl

from deepgen_fast.ops.triton_activation import activate, activation_gradient
from deepgen_fast.ops.triton_channels import tile_moments
from deepgen_fast.ops.triton_math import accumulation_dtype


@triton.jit
def _sizes(batch, units, space_units, UNIT: tl.constexpr, SPACE_UNIT: tl.constexpr, WIDE: tl.constexpr):
    """(pixels of all images, channels, pixels of one image), with the divisors that the compiler needs to see: those of
    the pixels make the mask of a planar tile one value for each 128-bit access."""
    space = space_units * SPACE_UNIT
    if WIDE:
        space = tl.cast(space, tl.int64)
    return batch * space, units * UNIT, space


@triton.jit
def _tile(index, col_tiles, ROWS: tl.constexpr, COLS: tl.constexpr, WIDE: tl.constexpr):
    """(pixels [ROWS], channels [COLS]) of a tile; column tiles are innermost."""
    if WIDE:
        index = index.to(tl.int64)
    return index // col_tiles * ROWS + tl.arange(0, ROWS), index % col_tiles * COLS + tl.arange(0, COLS)


@triton.jit
def _exists(channel, channels, FULL: tl.constexpr):
    """Mask [COLS] of the channels; the compiler drops one that is always true."""
    if FULL:
        return tl.full(channel.shape, 1, tl.int1)
    else:
        return channel < channels


@triton.jit
def _offset(pixel, channel, channels, space, PLANAR: tl.constexpr):
    """[ROWS, COLS]; ``space`` is the number of pixels of one image."""
    if PLANAR:
        return (pixel // space * (channels * space) + pixel % space)[:, None] + (channel * space)[None, :]
    else:
        return pixel[:, None] * channels + channel[None, :]


@triton.jit
def _inside(pixel, pixels, channel_exists):
    return (pixel < pixels)[:, None] & channel_exists[None, :]


@triton.jit
def _channel_values(mean_ptr, invstd_ptr, weight_ptr, bias_ptr, channel, exists, ACC: tl.constexpr):
    """(mean, invstd, scale = invstd * weight, bias), each [1, COLS]."""
    mean = tl.load(mean_ptr + channel, mask=exists).to(ACC)[None, :]
    invstd = tl.load(invstd_ptr + channel, mask=exists).to(ACC)[None, :]
    scale = invstd
    if weight_ptr is not None:
        scale = invstd * tl.load(weight_ptr + channel, mask=exists).to(ACC)[None, :]
    bias = tl.zeros_like(mean)
    if bias_ptr is not None:
        bias = tl.load(bias_ptr + channel, mask=exists).to(ACC)[None, :]
    return mean, invstd, scale, bias


@triton.jit
def _argument(deviation, scale, bias):
    """What the activation is applied to, from x - mean.

    The difference comes first: x * scale + shift would cancel where the mean is much larger than the deviations.
    """
    return tl.fma(deviation, scale + tl.zeros_like(deviation), bias + tl.zeros_like(deviation))


@triton.jit(do_not_specialize=["batch", "units", "space_units", "col_tiles"])
def channel_moments_kernel(
    moments_ptr,
    count_ptr,
    input_ptr,
    batch,
    units,
    space_units,
    col_tiles,
    UNIT: tl.constexpr,
    SPACE_UNIT: tl.constexpr,
    PLANAR: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
    FULL: tl.constexpr,
    WIDE: tl.constexpr,
):
    """Partial statistics [tiles, 2, channels] and counts [tiles] of ROWS pixels each."""
    ACC: tl.constexpr = accumulation_dtype(input_ptr.dtype.element_ty)
    pixels, channels, space = _sizes(batch, units, space_units, UNIT, SPACE_UNIT, WIDE)
    pixel, channel = _tile(tl.program_id(0), col_tiles, ROWS, COLS, WIDE)
    exists = _exists(channel, channels, FULL)
    inside = _inside(pixel, pixels, exists)
    value = tl.load(input_ptr + _offset(pixel, channel, channels, space, PLANAR), mask=inside, other=0.0).to(ACC)
    count, mean, deviations = tile_moments(value, pixel < pixels)
    tile = tl.program_id(0) // col_tiles
    if WIDE:
        tile = tile.to(tl.int64)
    moments = moments_ptr + 2 * tile * channels + channel
    tl.store(moments, mean, mask=exists)
    tl.store(moments + channels, deviations, mask=exists)
    if tl.program_id(0) % col_tiles == 0:
        tl.store(count_ptr + tile, count)


@triton.jit(do_not_specialize=["batch", "units", "space_units", "col_tiles"])
def forward_kernel(
    output_ptr,
    input_ptr,
    mean_ptr,
    invstd_ptr,
    weight_ptr,
    bias_ptr,
    batch,
    units,
    space_units,
    col_tiles,
    ACTIVATION: tl.constexpr,
    NEGATIVE_SLOPE: tl.constexpr,
    UNIT: tl.constexpr,
    SPACE_UNIT: tl.constexpr,
    PLANAR: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
    FULL: tl.constexpr,
    WIDE: tl.constexpr,
):
    ACC: tl.constexpr = accumulation_dtype(input_ptr.dtype.element_ty)
    pixels, channels, space = _sizes(batch, units, space_units, UNIT, SPACE_UNIT, WIDE)
    pixel, channel = _tile(tl.program_id(0), col_tiles, ROWS, COLS, WIDE)
    exists = _exists(channel, channels, FULL)
    inside = _inside(pixel, pixels, exists)
    offset = _offset(pixel, channel, channels, space, PLANAR)
    mean, _, scale, bias = _channel_values(mean_ptr, invstd_ptr, weight_ptr, bias_ptr, channel, exists, ACC)
    deviation = tl.load(input_ptr + offset, mask=inside).to(ACC) - mean
    value = activate(_argument(deviation, scale, bias), NEGATIVE_SLOPE, ACTIVATION)
    tl.store(output_ptr + offset, value.to(output_ptr.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["batch", "units", "space_units", "col_tiles", "steps"])
def backward_sums_kernel(
    partial_ptr,
    grad_ptr,
    input_ptr,
    mean_ptr,
    invstd_ptr,
    weight_ptr,
    bias_ptr,
    batch,
    units,
    space_units,
    col_tiles,
    steps,
    ACTIVATION: tl.constexpr,
    NEGATIVE_SLOPE: tl.constexpr,
    UNIT: tl.constexpr,
    SPACE_UNIT: tl.constexpr,
    PLANAR: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
    FULL: tl.constexpr,
    WIDE: tl.constexpr,
):
    """partial [chunks, 2, channels]: sum g and sum g (x - mean) of ``steps`` tiles of ROWS pixels."""
    ACC: tl.constexpr = accumulation_dtype(input_ptr.dtype.element_ty)
    pixels, channels, space = _sizes(batch, units, space_units, UNIT, SPACE_UNIT, WIDE)
    chunk = tl.program_id(0) // col_tiles
    lane, channel = _tile(tl.program_id(0) % col_tiles, col_tiles, ROWS, COLS, WIDE)
    exists = _exists(channel, channels, FULL)
    if WIDE:
        chunk = chunk.to(tl.int64)
    mean, _, scale, bias = _channel_values(mean_ptr, invstd_ptr, weight_ptr, bias_ptr, channel, exists, ACC)
    grad_sum = tl.zeros([ROWS, COLS], ACC)
    projected_sum = tl.zeros([ROWS, COLS], ACC)
    for step in range(steps):
        pixel = (chunk * steps + step) * ROWS + lane
        inside = _inside(pixel, pixels, exists)
        offset = _offset(pixel, channel, channels, space, PLANAR)
        deviation = tl.load(input_ptr + offset, mask=inside, other=0.0).to(ACC) - mean
        grad = tl.load(grad_ptr + offset, mask=inside, other=0.0).to(ACC)
        argument = _argument(deviation, scale, bias)
        grad = activation_gradient(grad, argument, NEGATIVE_SLOPE, ACTIVATION)
        # Outside, the gradient is 0, but the deviation of a mean that is not finite is not.
        grad_sum += grad
        projected_sum += tl.where(inside, grad * deviation, 0.0)
    partial = partial_ptr + 2 * chunk * channels + channel
    tl.store(partial, tl.sum(grad_sum, axis=0), mask=exists)
    tl.store(partial + channels, tl.sum(projected_sum, axis=0), mask=exists)


@triton.jit(do_not_specialize=["pixels", "channels", "chunks"])
def coefficients_kernel(
    grad_weight_ptr,
    grad_bias_ptr,
    coefficient_ptr,
    partial_ptr,
    invstd_ptr,
    pixels,
    channels,
    chunks,
    TILES: tl.constexpr,
    COLS: tl.constexpr,
):
    """The partial sums added in order, in float64: the parameters' gradients, and the two coefficients [2, channels] of
    the input's: grad_bias / count and the projection."""
    channel = tl.program_id(0) * COLS + tl.arange(0, COLS)
    exists = channel < channels
    # Divided first, while few registers are live: a float64 division is a call.
    one_by_count = 1.0 / tl.full([COLS], pixels, tl.float64)
    grad_sum = tl.zeros([COLS], tl.float64)
    projected_sum = tl.zeros([COLS], tl.float64)
    for first in range(0, chunks, TILES):
        chunk = first + tl.arange(0, TILES)
        inside = (chunk < chunks)[:, None] & exists[None, :]
        partial = partial_ptr + 2 * chunk[:, None] * channels + channel[None, :]
        grad_sum += tl.sum(tl.load(partial, mask=inside, other=0.0).to(tl.float64), axis=0)
        projected_sum += tl.sum(tl.load(partial + channels, mask=inside, other=0.0).to(tl.float64), axis=0)
    invstd = tl.load(invstd_ptr + channel, mask=exists, other=0.0).to(tl.float64)
    if grad_weight_ptr is not None:
        element = grad_weight_ptr.dtype.element_ty
        tl.store(grad_weight_ptr + channel, (projected_sum * invstd).to(element), mask=exists)
        tl.store(grad_bias_ptr + channel, grad_sum.to(element), mask=exists)
    if coefficient_ptr is not None:
        element = coefficient_ptr.dtype.element_ty
        tl.store(coefficient_ptr + channel, (grad_sum * one_by_count).to(element), mask=exists)
        projection = projected_sum * invstd * invstd * one_by_count
        tl.store(coefficient_ptr + channels + channel, projection.to(element), mask=exists)


@triton.jit(do_not_specialize=["batch", "units", "space_units", "col_tiles"])
def backward_input_kernel(
    grad_input_ptr,
    grad_ptr,
    input_ptr,
    mean_ptr,
    invstd_ptr,
    weight_ptr,
    bias_ptr,
    coefficient_ptr,
    batch,
    units,
    space_units,
    col_tiles,
    ACTIVATION: tl.constexpr,
    NEGATIVE_SLOPE: tl.constexpr,
    UNIT: tl.constexpr,
    SPACE_UNIT: tl.constexpr,
    PLANAR: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
    FULL: tl.constexpr,
    WIDE: tl.constexpr,
):
    ACC: tl.constexpr = accumulation_dtype(input_ptr.dtype.element_ty)
    pixels, channels, space = _sizes(batch, units, space_units, UNIT, SPACE_UNIT, WIDE)
    pixel, channel = _tile(tl.program_id(0), col_tiles, ROWS, COLS, WIDE)
    exists = _exists(channel, channels, FULL)
    inside = _inside(pixel, pixels, exists)
    offset = _offset(pixel, channel, channels, space, PLANAR)
    mean, _, scale, bias = _channel_values(mean_ptr, invstd_ptr, weight_ptr, bias_ptr, channel, exists, ACC)
    deviation = tl.load(input_ptr + offset, mask=inside).to(ACC) - mean
    grad = tl.load(grad_ptr + offset, mask=inside).to(ACC)
    grad = activation_gradient(grad, _argument(deviation, scale, bias), NEGATIVE_SLOPE, ACTIVATION)
    if coefficient_ptr is not None:
        grad_mean = tl.load(coefficient_ptr + channel, mask=exists)[None, :]
        projection = tl.load(coefficient_ptr + channels + channel, mask=exists)[None, :]
        grad = tl.fma(-deviation, projection + tl.zeros_like(grad), grad - grad_mean)
    tl.store(grad_input_ptr + offset, (grad * scale).to(grad_input_ptr.dtype.element_ty), mask=inside)

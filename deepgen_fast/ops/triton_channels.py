"""Images [batch, channels, *space] as the Triton kernels see them, pixels by channels, and per-channel reductions.

A program reduces the pixels of its tile to one partial result a channel; a second kernel combines the partials of a
channel in the order of the tiles, in float64. There are no atomics, and the tiles depend on shapes alone, so a result
is the same on every run.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from deepgen_fast.ops.memory_format import owned
from deepgen_fast.ops.triton_math import divide, positive_part
from deepgen_fast.ops.triton_tiles import is_wide

# Partials that one program combines; more are combined in two steps, so that no program walks a long list alone.
COMBINED_TILES = 512
_COMBINE_TILES, _COMBINE_CHANNELS = 32, 16
_COMBINE_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}


def channels_last(tensor: Tensor) -> Tensor:
    """The tensor with its channels (dimension 1) contiguous and its pixels dense; itself where it already is."""
    if tensor.dim() == 4:
        return tensor.contiguous(memory_format=torch.channels_last)
    return tensor.movedim(1, -1).contiguous().movedim(-1, 1) if tensor.dim() > 2 else tensor.contiguous()


def empty_channels_last(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Uninitialized [batch, channels, *space], channels contiguous."""
    if len(shape) == 4:
        return torch.empty(shape, dtype=dtype, device=device, memory_format=torch.channels_last)
    batch, channels, *space = shape
    return owned(torch.empty((batch, *space, channels), dtype=dtype, device=device).movedim(-1, 1))


def channel_unit(channels: int) -> int:
    """The divisor of the channel count that the compiler is told: the alignment of every pixel."""
    return math.gcd(channels, 16)


class ChannelTile(NamedTuple):
    """How pixels by channels are cut by the kernels that only stream."""

    rows: int  # pixels
    cols: int  # channels
    row_tiles: int
    col_tiles: int
    full: bool  # the tiles fill the channels: no channel mask

    @classmethod
    def of(cls, pixels: int, channels: int, elements: int = 2048) -> ChannelTile:
        cols = min(128, max(4, triton.next_power_of_2(channels)))
        rows = elements // cols
        return cls(rows, cols, triton.cdiv(pixels, rows), triton.cdiv(channels, cols), channels % cols == 0)

    def options(self) -> dict[str, int | bool]:
        """Eight elements a thread: two 128-bit loads of float32."""
        return {"num_warps": max(1, self.rows * self.cols // 256), "enable_fp_fusion": False}


@triton.jit
def tile_moments(value, inside):
    """(count, mean [COLS], sum of squared deviations [COLS]), in float64, of the rows of a tile that are inside.

    A first mean, then the deviations from it, which correct it: nothing cancels however far the mean lies from zero.
    Only the results are float64, so that the means of tiles keep their small differences.

    Args:
        value: [ROWS, COLS].
        inside: [ROWS].
    """
    count = tl.sum(inside.to(value.dtype), axis=0)
    total = tl.sum(tl.where(inside[:, None], value, 0.0), axis=0)
    divisor = tl.maximum(count, 1.0) + tl.zeros_like(total)
    first = divide(total, divisor)
    deviation = tl.where(inside[:, None], value - first[None, :], 0.0)
    correction = divide(tl.sum(deviation, axis=0), divisor)
    squares = tl.sum(deviation * deviation, axis=0) - count * correction * correction
    # The mean of numbers that are not all finite is what their sum says: inf stays inf.
    correction = tl.where(correction == correction, correction, 0.0)
    return count.to(tl.float64), first.to(tl.float64) + correction.to(tl.float64), positive_part(squares).to(tl.float64)


@triton.jit(do_not_specialize=["tiles", "channels", "combined"])
def combine_moments_kernel(
    moments_ptr,
    count_ptr,
    partial_ptr,
    partial_count_ptr,
    tiles,
    channels,
    combined,
    TILES: tl.constexpr,
    COLS: tl.constexpr,
    WIDE: tl.constexpr,
):
    """moments [groups, 2, channels] of float64 from partials [tiles, 2, channels], ``combined`` tiles a group.

    The mean of all first, then the deviations from it (Chan, Golub and LeVeque 1979): two passes over few numbers.
    """
    group = tl.program_id(1)
    if WIDE:
        group = group.to(tl.int64)
    channel = tl.program_id(0) * COLS + tl.arange(0, COLS)
    exists = channel < channels
    end = tl.minimum(tiles, (group + 1) * combined)
    count = tl.zeros([1], tl.float64)
    total = tl.zeros([COLS], tl.float64)
    for first in range(0, combined, TILES):
        tile = group * combined + first + tl.arange(0, TILES)
        size = tl.load(partial_count_ptr + tile, mask=tile < end, other=0.0)
        inside = (tile < end)[:, None] & exists[None, :]
        mean = tl.load(partial_ptr + (2 * tile[:, None]) * channels + channel[None, :], mask=inside, other=0.0)
        count += tl.sum(size, axis=0)
        total += tl.sum(size[:, None] * mean, axis=0)
    center = total / tl.maximum(count, 1.0)
    deviations = tl.zeros([COLS], tl.float64)
    for first in range(0, combined, TILES):
        tile = group * combined + first + tl.arange(0, TILES)
        size = tl.load(partial_count_ptr + tile, mask=tile < end, other=0.0)
        inside = (tile < end)[:, None] & exists[None, :]
        offset = (2 * tile[:, None]) * channels + channel[None, :]
        distance = tl.load(partial_ptr + offset, mask=inside, other=0.0) - center[None, :]
        within = tl.load(partial_ptr + offset + channels, mask=inside, other=0.0)
        deviations += tl.sum(within + size[:, None] * (distance * distance), axis=0)
    tl.store(moments_ptr + (2 * group) * channels + channel, center, mask=exists)
    tl.store(moments_ptr + (2 * group + 1) * channels + channel, deviations, mask=exists)
    tl.store(count_ptr + group + tl.arange(0, 1), count)


class Moments(NamedTuple):
    """Partial statistics of tiles, float64: [tiles, 2, channels] (mean, sum of squared deviations), counts [tiles]."""

    partial: Tensor
    counts: Tensor

    @classmethod
    def empty(cls, tiles: int, channels: int, device: torch.device) -> Moments:
        partial = torch.empty((tiles, 2, channels), dtype=torch.float64, device=device)
        return cls(partial, torch.empty((tiles,), dtype=torch.float64, device=device))


def combine_moments(moments: Moments) -> Tensor:
    """Statistics [2, channels] of float64: mean and sum of squared deviations from it, over all tiles."""
    while True:
        tiles, _, channels = moments.partial.shape
        groups = triton.cdiv(tiles, COMBINED_TILES)
        combined = Moments.empty(groups, channels, moments.partial.device)
        combine_moments_kernel[(triton.cdiv(channels, _COMBINE_CHANNELS), groups)](
            combined.partial, combined.counts, moments.partial, moments.counts, tiles, channels,
            min(COMBINED_TILES, tiles), TILES=_COMBINE_TILES,
            COLS=_COMBINE_CHANNELS, WIDE=is_wide(moments.partial.numel()), **_COMBINE_OPTIONS,
        )  # fmt: skip
        if groups == 1:
            return combined.partial.view(2, channels)
        moments = combined


@triton.jit(do_not_specialize=["rows", "units"])
def column_sums_kernel(sum_ptr, partial_ptr, rows, units, UNIT: tl.constexpr, COLS: tl.constexpr, WIDE: tl.constexpr):
    columns = units * UNIT
    program = tl.program_id(0)
    if WIDE:
        program = program.to(tl.int64)
    column = program * COLS + tl.arange(0, COLS)
    total = tl.zeros([COLS], partial_ptr.dtype.element_ty)
    for _ in range(rows):
        total += tl.load(partial_ptr + column, mask=column < columns, other=0.0)
        partial_ptr += columns
    tl.store(sum_ptr + column, total.to(sum_ptr.dtype.element_ty), mask=column < columns)


def column_sums(partials: Tensor, dtype: torch.dtype) -> Tensor:
    """Sums [columns] in ``dtype`` of partials [rows, columns], in the order of the rows."""
    rows, columns = partials.shape
    sums, unit = torch.empty((columns,), dtype=dtype, device=partials.device), channel_unit(columns)
    column_sums_kernel[(triton.cdiv(columns, 1024),)](
        sums, partials, rows, columns // unit, UNIT=unit, COLS=1024, WIDE=is_wide(partials.numel()),
        **_COMBINE_OPTIONS,
    )  # fmt: skip
    return sums

"""How the Triton convolutions are cut into programs: one table, by shapes and dtype alone.

The depth of a step, which cuts a sum, depends on dtype and channels only. Rows and columns shrink where the full tiles
would leave multiprocessors idle. The table was chosen by what the compiler makes of it (registers, shared memory, no
spills); it was measured on a GPU (benchmarks/GPU.md), not tuned there.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton

# Programs that fill the multiprocessors of the largest GPUs once or twice over.
_ENOUGH_PROGRAMS = 256
# What the partial weight gradients of a split may take together.
WORKSPACE_BYTES = 64 * 2**20


class ProductTile(NamedTuple):
    """One program's part of an implicit matrix product."""

    rows: int
    cols: int
    depth: int  # of the summed axis, a step
    group: int  # row tiles that walk the columns together
    num_warps: int
    num_stages: int

    def options(self) -> dict[str, int | bool]:
        """Fusion is on: the products are sums of fused multiply-adds."""
        return {"num_warps": self.num_warps, "num_stages": self.num_stages, "enable_fp_fusion": True}


def _block(size: int, largest: int) -> int:
    return min(largest, max(16, triton.next_power_of_2(size)))


def is_packed(channels: int) -> bool:
    """Whether a step runs across taps: below 16 channels, the least depth of a matrix instruction."""
    return channels < 16


def _depth(summed: int, dtype: torch.dtype, precision: str) -> int:
    if dtype == torch.float32:
        return 16 if precision == "ieee" else 32
    return 64 if summed % 64 == 0 else 32


def _product_tile(
    rows: int, cols: int, programs_each: int, depth: int, dtype: torch.dtype, precision: str, narrow: bool
) -> ProductTile:
    """``narrow``: numbers are loaded one by one, each with an address of its own, and large tiles would spill."""
    exact = dtype == torch.float32 and precision == "ieee"
    tile_cols = _block(cols, 64 if exact or narrow else 128)
    tile_rows = _block(rows, 64 if exact or narrow else 128)
    if narrow and exact:
        tile_rows = min(tile_rows, 32)
    while tile_rows > 32 and triton.cdiv(rows, tile_rows) * triton.cdiv(cols, tile_cols) * programs_each < (
        _ENOUGH_PROGRAMS
    ):
        tile_rows //= 2
    num_warps = 8 if narrow or tile_rows * tile_cols >= 128 * 128 else 4
    return ProductTile(tile_rows, tile_cols, depth, 8, num_warps, 2 if exact or narrow else 3)


def is_narrow(channels: int, dtype: torch.dtype) -> bool:
    """Whether a pixel of so many channels breaks the alignment of 128-bit loads."""
    return channels * dtype.itemsize % 16 != 0


def convolution_tile(
    pixels: int, phases: int, input_channels: int, output_channels: int, dtype: torch.dtype, precision: str
) -> ProductTile:
    """``pixels`` of one phase by ``output_channels``."""
    depth = 32 if is_packed(input_channels) else _depth(input_channels, dtype, precision)
    if precision == "ieee" and dtype == torch.float32:
        depth = 16
    narrow = is_packed(input_channels) or is_narrow(input_channels, dtype)
    return _product_tile(pixels, output_channels, phases, depth, dtype, precision, narrow)


class SplitTile(NamedTuple):
    """A weight gradient's tile, and how the pixels are split among programs."""

    tile: ProductTile
    splits: int
    steps: int  # of ``tile.depth`` pixels, a split


def weight_gradient_tile(
    pixels: int, small_channels: int, large_channels: int, taps: int, dtype: torch.dtype, precision: str
) -> SplitTile:
    """``small_channels`` by ``large_channels`` for each of ``taps``, summed over ``pixels``; packed, by all taps'."""
    columns, taps = (taps * large_channels, 1) if is_packed(large_channels) else (large_channels, taps)
    depth = 16 if dtype == torch.float32 and precision == "ieee" else 32
    split_programs = taps * max(1, triton.cdiv(pixels, 8 * depth))
    narrow = is_packed(large_channels) or is_narrow(large_channels, dtype) or is_narrow(small_channels, dtype)
    tile = _product_tile(small_channels, columns, split_programs, depth, dtype, precision, narrow)
    if narrow:
        tile = tile._replace(num_warps=4)  # the gathered factor alone needs addresses
    programs = triton.cdiv(small_channels, tile.rows) * triton.cdiv(columns, tile.cols) * taps
    total_steps = triton.cdiv(pixels, depth)
    most = max(1, WORKSPACE_BYTES // (4 * small_channels * columns * taps))
    # At least eight steps a split: fewer would write more partials than they read pixels.
    splits = max(1, min(most, triton.cdiv(2 * _ENOUGH_PROGRAMS, programs), total_steps // 8))
    steps = triton.cdiv(total_steps, splits)
    return SplitTile(tile, triton.cdiv(total_steps, steps), steps)

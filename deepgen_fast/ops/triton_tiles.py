"""How the Triton kernels cut rows and columns into tiles, and how every launch is made.

A row is one example (or one sample of it), its columns are the flattened event. Short rows share a program: a
tile is [ROWS, COLS] with COLS covering the row. Long rows are cut into chunks of COLS columns; each program
writes one partial sum and ``row_sums`` adds the partials in chunk order. There are no atomics, and the tile
depends on the number of columns alone, so the value of a row depends on nothing but that row.
"""

from __future__ import annotations

import contextlib
import math
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from deepgen_fast.ops.memory_format import owned
from deepgen_fast.ops.rows import accumulation_dtype

LONGEST_TILED_ROW = 4096
INDEX_LIMIT = 2**31 - 1
# Which rows an operand has: one value, one row for all, one per example, one per row of the decoder output.
ONE_VALUE, ONE_ROW, ROW_PER_EXAMPLE, ROW_PER_SAMPLE = (tl.constexpr(code) for code in range(4))


class Tile(NamedTuple):
    """How one row length is cut."""

    rows: int
    cols: int
    chunks: int  # programs a row
    unit: int  # divides the row length, and is known to the compiler: alignment of every row
    full: bool  # the chunks fill the row: no column mask
    num_warps: int


def tile_for(columns: int) -> Tile:
    """The one heuristic of all row kernels.

    Eight elements a thread: two 128-bit loads of float32 for each input (one of bfloat16, four of float64)
    and few enough registers for a thousand threads or more on a multiprocessor, even with the noise. Short
    rows fill a tile of 1024 elements, so that a small batch still makes many programs.
    """
    unit = math.gcd(columns, 16)
    if columns == 0:
        return Tile(1, 4, 0, unit, True, 4)
    if columns <= LONGEST_TILED_ROW:
        cols = max(4, triton.next_power_of_2(columns))
        return Tile(max(1, 1024 // cols), cols, 1, unit, cols == columns, max(4, cols // 256))
    # The longest chunk whose padding stays under an eighth of the row.
    cols = next((c for c in (4096, 2048) if -columns % c <= columns // 8), 1024)
    return Tile(1, cols, triton.cdiv(columns, cols), unit, columns % cols == 0, cols // 256)


def is_wide(*elements: int) -> bool:
    """Whether an offset into the largest of these tensors needs 64 bits."""
    return max(elements) > INDEX_LIMIT


def samples_per_program(samples: int, programs: int) -> int:
    """How many samples share a program, and with it one read of what the samples have in common."""
    return 4 if samples >= 4 and programs * triton.cdiv(samples, 4) >= 512 else 1


def launch_options(tile: Tile) -> dict[str, int | bool]:
    """Compiler options of every launch. FP fusion is pinned: its default flips between Triton 3.9 and 3.10,
    and the kernels write their fused multiply-adds out."""
    return {"num_warps": tile.num_warps, "enable_fp_fusion": False}


def on_device_of(tensor: Tensor) -> contextlib.AbstractContextManager[Any]:
    """Make the tensor's GPU current, since Triton launches on the current one."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else contextlib.nullcontext()


@triton.jit
def tile_inside(row, rows, col, columns, ROWS: tl.constexpr, FULL: tl.constexpr):
    """Mask [ROWS or 1, COLS or 1] of the tile's positions that exist; the compiler drops one that is always true."""
    if ROWS == 1 and FULL:
        return tl.full([1, 1], 1, tl.int1)
    elif ROWS == 1:
        return (col < columns)[None, :]
    elif FULL:
        return (row < rows)[:, None]
    else:
        return (row < rows)[:, None] & (col < columns)[None, :]


@triton.jit
def load_operand(ptr, sample, row, batch, col, columns, inside, KIND: tl.constexpr, FULL: tl.constexpr):
    """Load an operand for the tile, in the shape its rows call for: scalar, [1, COLS] or [ROWS, COLS]."""
    if KIND == ONE_VALUE:
        return tl.load(ptr)
    elif KIND == ONE_ROW:
        return tl.load(ptr + col[None, :], mask=None if FULL else (col < columns)[None, :])
    elif KIND == ROW_PER_EXAMPLE:
        return tl.load(ptr + (row[:, None] * columns + col[None, :]), mask=inside)
    else:
        return tl.load(ptr + ((sample * batch + row)[:, None] * columns + col[None, :]), mask=inside)


@triton.jit
def row_sums_kernel(partial_ptr, sum_ptr, rows, chunks, ROWS: tl.constexpr, COLS: tl.constexpr, WIDE: tl.constexpr):
    program = tl.program_id(0)
    if WIDE:
        program = program.to(tl.int64)
    row = program * ROWS + tl.arange(0, ROWS)
    total = tl.zeros([ROWS], sum_ptr.dtype.element_ty)
    for first in range(0, chunks, COLS):
        chunk = first + tl.arange(0, COLS)
        inside = (row < rows)[:, None] & (chunk < chunks)[None, :]
        total += tl.sum(tl.load(partial_ptr + row[:, None] * chunks + chunk[None, :], mask=inside, other=0.0), axis=1)
    tl.store(sum_ptr + row, total, mask=row < rows)


def row_sums(partials: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Sum partials [rows, chunks], which nobody else has, over chunks, in an order that depends on the number of chunks
    alone; in a ``shape`` of as many numbers as there are rows."""
    rows, chunks = partials.shape
    if chunks == 1:
        return owned(partials.view(shape))
    if partials.numel() == 0:  # rows of no columns
        return partials.new_zeros(shape)
    sums = partials.new_empty(shape)
    cols = min(1024, max(4, triton.next_power_of_2(chunks)))
    tile_rows = max(1, 1024 // cols)
    row_sums_kernel[(triton.cdiv(rows, tile_rows),)](
        partials, sums, rows, chunks, ROWS=tile_rows, COLS=cols, WIDE=is_wide(partials.numel()),
        num_warps=4, enable_fp_fusion=False,
    )  # fmt: skip
    return sums


def empty_partials(like: Tensor, rows: int, chunks: int) -> Tensor:
    """Buffer for one partial sum per row and chunk, in the accumulation dtype."""
    return torch.empty(rows, chunks, dtype=accumulation_dtype(like.dtype), device=like.device)

"""Triton kernels of minibatch discrimination: a program has some examples and kernels, and walks the other examples.

Every pair is visited from both sides: no atomics, and each sum is added up in one order. Sums over a block of others
are added up on their own, then to those of the blocks before.
"""

from __future__ import annotations

import triton
import triton.language as tl

from deepgen_fast.ops.triton_math import accumulation_dtype, exp


@triton.jit
def _load(features_ptr, row, kernel, dim, kernels, dims, inside, ACC: tl.constexpr, FULL: tl.constexpr):
    """Features of rows [ROWS or 1, 1, 1] in the accumulation dtype; zero outside. FULL: no turn has other dims."""
    offset = (row * kernels + kernel[None, :, None]) * dims + dim[None, None, :]
    mask = inside if FULL else inside & (dim < dims)[None, None, :]
    return tl.load(features_ptr + offset, mask=mask, other=0.0).to(ACC)


@triton.jit
def _similarity(features_ptr, own, row, other, kernel, kernels, dims, inside, ACC, CHUNKED, DIMS, FULL):
    """exp(-||M_row - M_other||_1), [ROWS, KERNELS]."""
    dim = tl.arange(0, DIMS)
    present = (kernel < kernels)[None, :, None]
    if CHUNKED:
        distance = tl.zeros([row.shape[0], kernel.shape[0]], ACC)
        for first in range(0, dims, DIMS):
            mine = _load(features_ptr, row[:, None, None], kernel, first + dim, kernels, dims, inside, ACC, FULL)
            theirs = _load(features_ptr, other, kernel, first + dim, kernels, dims, present, ACC, FULL)
            distance += tl.sum(tl.abs(mine - theirs), axis=2)
    else:
        theirs = _load(features_ptr, other, kernel, dim, kernels, dims, present, ACC, FULL)
        distance = tl.sum(tl.abs(own - theirs), axis=2)
    return exp(-distance)


@triton.jit(do_not_specialize=["batch", "kernels", "dims"])
def similarities_kernel(
    sum_ptr,
    features_ptr,
    batch,
    kernels,
    dims,
    INCLUDE_SELF: tl.constexpr,
    CHUNKED: tl.constexpr,
    BLOCK: tl.constexpr,
    ROWS: tl.constexpr,
    KERNELS: tl.constexpr,
    DIMS: tl.constexpr,
    FULL: tl.constexpr,
    WIDE: tl.constexpr,
):
    ACC: tl.constexpr = accumulation_dtype(features_ptr.dtype.element_ty)
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    kernel = tl.program_id(1) * KERNELS + tl.arange(0, KERNELS)
    if WIDE:
        row, kernels = row.to(tl.int64), kernels.to(tl.int64)
    inside = (row < batch)[:, None] & (kernel < kernels)[None, :]
    own = _load(
        features_ptr, row[:, None, None], kernel, tl.arange(0, DIMS), kernels, dims, inside[:, :, None], ACC, FULL
    )  # fmt: skip
    total = tl.zeros([ROWS, KERNELS], ACC)
    for first in range(0, batch, BLOCK):
        part = tl.zeros([ROWS, KERNELS], ACC)
        for other in range(first, tl.minimum(first + BLOCK, batch)):
            value = _similarity(
                features_ptr, own, row, other, kernel, kernels, dims, inside[:, :, None], ACC, CHUNKED, DIMS, FULL
            )
            # An example's similarity to itself is 1, also where a feature is infinite: the difference would be NaN.
            part += tl.where((row != other)[:, None], value, 1.0 if INCLUDE_SELF else 0.0)
        total += part
    tl.store(sum_ptr + row[:, None] * kernels + kernel[None, :], total, mask=inside)


@triton.jit(do_not_specialize=["batch", "kernels", "dims"])
def similarity_gradients_kernel(
    grad_features_ptr,
    grad_ptr,
    features_ptr,
    batch,
    kernels,
    dims,
    INCLUDE_SELF: tl.constexpr,
    CHUNKED: tl.constexpr,
    BLOCK: tl.constexpr,
    ROWS: tl.constexpr,
    KERNELS: tl.constexpr,
    DIMS: tl.constexpr,
    FULL: tl.constexpr,
    WIDE: tl.constexpr,
):
    ACC: tl.constexpr = accumulation_dtype(features_ptr.dtype.element_ty)
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    kernel = tl.program_id(1) * KERNELS + tl.arange(0, KERNELS)
    dim = tl.program_id(2) * DIMS + tl.arange(0, DIMS)
    if WIDE:
        row, kernels = row.to(tl.int64), kernels.to(tl.int64)
    inside = (row < batch)[:, None] & (kernel < kernels)[None, :]
    present = kernel < kernels
    own = _load(features_ptr, row[:, None, None], kernel, dim, kernels, dims, inside[:, :, None], ACC, FULL)
    own_grad = tl.load(grad_ptr + row[:, None] * kernels + kernel[None, :], mask=inside, other=0.0)
    total = tl.zeros([ROWS, KERNELS, DIMS], ACC)
    for first in range(0, batch, BLOCK):
        part = tl.zeros([ROWS, KERNELS, DIMS], ACC)
        for other in range(first, tl.minimum(first + BLOCK, batch)):
            value = _similarity(
                features_ptr, own, row, other, kernel, kernels, dims, inside[:, :, None], ACC, CHUNKED, DIMS, FULL
            )
            grad = own_grad + tl.load(grad_ptr + other * kernels + kernel, mask=present, other=0.0)[None, :]
            weight = (grad * value)[:, :, None]
            weight = tl.where((row != other)[:, None, None], weight, 0.0)
            theirs = _load(features_ptr, other, kernel, dim, kernels, dims, present[None, :, None], ACC, FULL)
            difference = own - theirs
            part -= tl.where(difference == 0.0, 0.0, tl.where(difference < 0.0, -weight, weight))
        total += part
    offset = (row[:, None, None] * kernels + kernel[None, :, None]) * dims + dim[None, None, :]
    stored = inside[:, :, None] & (dim < dims)[None, None, :]
    tl.store(grad_features_ptr + offset, total.to(grad_features_ptr.dtype.element_ty), mask=stored)

"""Triton launchers of minibatch_discrimination, with the signatures of the native ops."""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
from torch import Tensor

from deepgen_fast.ops.minibatch_discrimination.triton_kernels import similarities_kernel, similarity_gradients_kernel
from deepgen_fast.ops.rows import accumulation_dtype
from deepgen_fast.ops.triton_compile import traceable
from deepgen_fast.ops.triton_tiles import is_wide, on_device_of

# Features of a program of 128 threads, of float32 and of float64, whose exponential needs registers of its own: they
# stay in registers, and gradients beside them.
SUM_ELEMENTS, GRADIENT_ELEMENTS = (2048, 1024), (1024, 256)
MOST_DIMS, MOST_KERNELS, MOST_ROWS = 64, 16, 32
BLOCK = 16  # others whose terms are added up on their own


class PairTile(NamedTuple):
    """Examples, kernels and dimensions of a program."""

    rows: int
    kernels: int
    dims: int
    chunked: bool  # dimensions need several turns

    @classmethod
    def of(cls, features: Tensor, elements: tuple[int, int]) -> PairTile:
        _, kernels, dims = features.shape
        tile_dims = min(MOST_DIMS, triton.next_power_of_2(max(dims, 1)))
        tile_kernels = min(MOST_KERNELS, triton.next_power_of_2(max(kernels, 1)))
        rows = min(MOST_ROWS, max(1, elements[features.dtype == torch.float64] // (tile_dims * tile_kernels)))
        return cls(rows, tile_kernels, tile_dims, dims > tile_dims)


def _launch(
    kernel: triton.JITFunction, tile: PairTile, chunks: int, features: Tensor, include_self: bool, *tensors: Tensor
) -> None:
    batch, kernels, dims = features.shape
    grid = (triton.cdiv(batch, tile.rows), triton.cdiv(kernels, tile.kernels), chunks)
    with on_device_of(features):
        kernel[grid](
            *tensors, features, batch, kernels, dims, INCLUDE_SELF=include_self, CHUNKED=tile.chunked, BLOCK=BLOCK,
            ROWS=tile.rows, KERNELS=tile.kernels, DIMS=tile.dims, FULL=dims > 0 and dims % tile.dims == 0,
            WIDE=is_wide(features.numel()), num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip


@traceable("minibatch_discrimination(Tensor features, bool include_self) -> Tensor")
def minibatch_discrimination(features: Tensor, include_self: bool) -> Tensor:
    """Sums [batch, kernels] in the accumulation dtype."""
    dtype = accumulation_dtype(features.dtype)
    sums = torch.empty(features.shape[:2], dtype=dtype, device=features.device)
    if sums.numel():
        _launch(similarities_kernel, PairTile.of(features, SUM_ELEMENTS), 1, features, include_self, sums)
    return sums


@traceable("minibatch_discrimination_backward(Tensor grad, Tensor features, bool include_self) -> Tensor")
def minibatch_discrimination_backward(grad: Tensor, features: Tensor, include_self: bool) -> Tensor:
    """Gradients of the features, in their shape and dtype."""
    grad_features = torch.empty_like(features)
    if features.numel():
        tile = PairTile.of(features, GRADIENT_ELEMENTS)
        chunks = triton.cdiv(features.shape[2], tile.dims)
        _launch(similarity_gradients_kernel, tile, chunks, features, include_self, grad_features, grad)
    return grad_features

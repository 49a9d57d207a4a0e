"""Triton kernels of negative_elbo beside the likelihood's: KL with its gradients, free bits, and the loss.

The sums run over rows, then over blocks of the batch, each in a fixed order: the loss has the same bits every
time.
"""

# No `from __future__ import annotations`: Triton reads `tl.float64` below as the argument's type, and not its
# string.
import triton
import triton.language as tl

from deepgen_fast.ops.reparameterize_kl.triton import load_prior
from deepgen_fast.ops.reparameterize_kl.triton_math import expand_scale, kl_divergence, kl_mean_slope, kl_scale_slope
from deepgen_fast.ops.triton_math import accumulation_dtype, divide, weighted
from deepgen_fast.ops.triton_tiles import tile_inside


@triton.jit
def _fraction(numerator, denominator, ACC: tl.constexpr):
    """numerator / denominator as a [1] tensor."""
    return divide(tl.full([1], numerator, ACC), tl.full([1], denominator, ACC))


@triton.jit
def _incoming_weight(beta, count, grad_loss_ptr, ACC: tl.constexpr):
    """Weight of a KL's gradient: beta / count, times the loss's incoming gradient where there is one; [1]."""
    weight = _fraction(beta, count, ACC)
    return weight if grad_loss_ptr is None else weight * tl.load(grad_loss_ptr)


@triton.jit(do_not_specialize=["batch", "units", "chunks"])
def kl_kernel(
    kl_ptr,
    column_sum_ptr,
    column_weight_ptr,
    grad_mean_ptr,
    grad_scale_ptr,
    grad_loss_ptr,
    mean_ptr,
    scale_ptr,
    prior_mean_ptr,
    prior_logvar_ptr,
    batch,
    units,
    chunks,
    beta: tl.float64,
    MEAN: tl.constexpr,
    SCALE_KIND: tl.constexpr,
    PRIOR_MEAN_KIND: tl.constexpr,
    PRIOR_LOGVAR_KIND: tl.constexpr,
    UNIT: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
    CHUNKED: tl.constexpr,
    FULL: tl.constexpr,
    WIDE: tl.constexpr,
):
    """Per tile: KL summed over columns [batch, chunks] and over rows [row_tiles, columns], and the gradients
    of beta times the KL term, with one weight per column where free bits decided them."""
    ACC: tl.constexpr = accumulation_dtype(mean_ptr.dtype.element_ty)
    columns = units * UNIT
    tile = tl.program_id(0)
    if WIDE:
        tile = tile.to(tl.int64)
    chunk = tile % chunks if CHUNKED else tile * 0
    row_tile = tile // chunks if CHUNKED else tile
    row = row_tile * ROWS + tl.arange(0, ROWS)
    col = chunk * COLS + tl.arange(0, COLS)
    row_mask = row < batch
    inside = tile_inside(row, batch, col, columns, ROWS, FULL)
    offset = row[:, None] * columns + col[None, :]
    mean = tl.load(mean_ptr + offset, mask=inside).to(ACC)
    scale = tl.load(scale_ptr + offset, mask=inside).to(ACC)
    prior_mean = (
        None
        if prior_mean_ptr is None
        else load_prior(prior_mean_ptr, row, batch, col, columns, inside, PRIOR_MEAN_KIND, FULL, ACC)
    )
    prior_logvar = (
        None
        if prior_logvar_ptr is None
        else load_prior(prior_logvar_ptr, row, batch, col, columns, inside, PRIOR_LOGVAR_KIND, FULL, ACC)
    )
    if kl_ptr is not None:
        std, variance, logvar = expand_scale(scale, SCALE_KIND)
        kl = kl_divergence(mean, std, variance, logvar, prior_mean, prior_logvar, SCALE_KIND)
        kl = tl.where(inside, kl, 0.0)
        tl.store(kl_ptr + (row * chunks + chunk), tl.sum(kl, axis=1), mask=row_mask)
        if column_sum_ptr is not None:
            tl.store(column_sum_ptr + (row_tile * columns + col), tl.sum(kl, axis=0), mask=col < columns)
    if grad_mean_ptr is not None:
        if column_weight_ptr is not None:
            weight = tl.load(column_weight_ptr + col, mask=col < columns)[None, :]
        else:
            weight = _incoming_weight(beta, batch if MEAN else 1, grad_loss_ptr, ACC)[:, None]
        grad_mean = weighted(weight, kl_mean_slope(mean, prior_mean, prior_logvar))
        tl.store(grad_mean_ptr + offset, grad_mean.to(grad_mean_ptr.dtype.element_ty), mask=inside)
        grad_scale = weighted(weight, kl_scale_slope(scale, prior_logvar, SCALE_KIND))
        tl.store(grad_scale_ptr + offset, grad_scale.to(grad_scale_ptr.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["batch", "columns", "row_tiles"])
def free_bits_kernel(
    column_weight_ptr,
    column_term_ptr,
    column_sum_ptr,
    grad_loss_ptr,
    batch,
    columns,
    row_tiles,
    beta: tl.float64,
    free_bits: tl.float64,
    MEAN: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
    WIDE: tl.constexpr,
):
    """Column means k, their terms max(free_bits, k), and the weight of each column's gradient: 0 under free
    bits."""
    ACC: tl.constexpr = column_sum_ptr.dtype.element_ty
    col = tl.program_id(0) * COLS + tl.arange(0, COLS)
    if WIDE:
        col = col.to(tl.int64)
    total = tl.zeros([COLS], ACC)
    for first in range(0, row_tiles, ROWS):
        tile = first + tl.arange(0, ROWS)
        if WIDE:
            tile = tile.to(tl.int64)
        inside = (tile < row_tiles)[:, None] & (col < columns)[None, :]
        partial = tl.load(column_sum_ptr + (tile[:, None] * columns + col[None, :]), mask=inside, other=0.0)
        total += tl.sum(partial, axis=0)
    column_mean = divide(total, tl.full([COLS], batch, ACC))
    floor = tl.full([COLS], free_bits, ACC)
    weight = _incoming_weight(beta, batch if MEAN else 1, grad_loss_ptr, ACC)
    # At the floor the gradient flows, as clamp has it in torch.
    weight = tl.where(column_mean >= floor, weight, 0.0)
    tl.store(column_weight_ptr + col, weight, mask=col < columns)
    term = tl.maximum(column_mean, floor, propagate_nan=tl.PropagateNan.ALL)
    tl.store(column_term_ptr + col, term, mask=col < columns)


@triton.jit
def _sum_of(ptr, count, BLOCK: tl.constexpr, ACC: tl.constexpr):
    """Sum of ``count`` values, as a [1] tensor."""
    total = tl.zeros([BLOCK], ACC)
    for first in range(0, count, BLOCK):
        index = first + tl.arange(0, BLOCK)
        total += tl.load(ptr + index, mask=index < count, other=0.0)
    return tl.sum(total, axis=0, keep_dims=True)


@triton.jit(do_not_specialize=["samples", "batch"])
def batch_sums_kernel(
    log_likelihood_ptr, block_sum_ptr, sample_value_ptr, kl_ptr, samples, batch, BLOCK: tl.constexpr, WIDE: tl.constexpr
):
    """Mean over samples [samples, batch] -> [batch]; sums of it and of the KL over this block: [2,
    blocks]."""
    ACC: tl.constexpr = block_sum_ptr.dtype.element_ty
    block = tl.program_id(0)
    if WIDE:
        block = block.to(tl.int64)
    row = block * BLOCK + tl.arange(0, BLOCK)
    inside = row < batch
    total = tl.zeros([BLOCK], ACC)
    for sample in range(0, samples):
        total += tl.load(sample_value_ptr + (sample * batch + row), mask=inside, other=0.0)
    log_likelihood = divide(total, tl.full([BLOCK], samples, ACC))
    tl.store(log_likelihood_ptr + row, log_likelihood, mask=inside)
    kl = tl.load(kl_ptr + row, mask=inside, other=0.0)
    tl.store(block_sum_ptr + block, tl.sum(tl.where(inside, log_likelihood, 0.0), axis=0))
    tl.store(block_sum_ptr + (tl.num_programs(0) + block), tl.sum(kl, axis=0))


@triton.jit(do_not_specialize=["batch", "columns", "blocks"])
def loss_kernel(
    loss_ptr,
    block_sum_ptr,
    column_term_ptr,
    batch,
    columns,
    blocks,
    beta: tl.float64,
    MEAN: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """loss = beta * KL term - log-likelihood, each averaged or summed over the batch."""
    ACC: tl.constexpr = loss_ptr.dtype.element_ty
    count = tl.full([1], batch if MEAN else 1, ACC)
    log_likelihood = divide(_sum_of(block_sum_ptr, blocks, BLOCK, ACC), count)
    if column_term_ptr is None:
        kl_term = divide(_sum_of(block_sum_ptr + blocks, blocks, BLOCK, ACC), count)
    else:
        kl_term = _sum_of(column_term_ptr, columns, BLOCK, ACC) * tl.full([1], 1 if MEAN else batch, ACC)
    # Without a weight the KL is left out, whatever it is: it may have overflowed.
    loss = weighted(tl.full([1], beta, ACC), kl_term) - log_likelihood
    tl.store(loss_ptr + tl.arange(0, 1), loss)

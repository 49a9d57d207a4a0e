"""Triton launcher of negative_elbo, with the signature of the native op.

One pass over the decoder output writes its gradient and one value per row; one pass over the latents writes
their gradients and the KL of each example. What remains are vectors of the batch's length. Nothing waits for
the GPU.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
from torch import Tensor

from deepgen_fast.ops.bernoulli_log_likelihood.triton_math import bernoulli_terms
from deepgen_fast.ops.gaussian_log_likelihood.triton_math import gaussian_terms
from deepgen_fast.ops.negative_elbo import reference
from deepgen_fast.ops.negative_elbo.triton_kernels import batch_sums_kernel, free_bits_kernel, kl_kernel, loss_kernel
from deepgen_fast.ops.rows import accumulation_dtype
from deepgen_fast.ops.triton_compile import traceable
from deepgen_fast.ops.triton_likelihood import GRADIENT_OF_LOSS, NO_GRADIENT, Likelihood, operand_kind, run_likelihood
from deepgen_fast.ops.triton_tiles import empty_partials, is_wide, launch_options, on_device_of, row_sums, tile_for

_BATCH_BLOCK = 1024
_VECTOR_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}


class _LatentPass(NamedTuple):
    """What the pass over the latents leaves: KL per example, gradients (no elements unless needed), and the term of
    each column under free bits."""

    kl: Tensor
    grad_mean: Tensor
    grad_scale: Tensor
    column_term: Tensor | None


def _latent_pass(
    mean: Tensor,
    scale: Tensor,
    prior_mean: Tensor | None,
    prior_logvar: Tensor | None,
    beta: float,
    free_bits: float,
    scale_kind: int,
    mean_reduction: bool,
    need_gradients: bool,
    grad_loss: Tensor | None,
) -> _LatentPass:
    batch, dtype = mean.shape[0], accumulation_dtype(mean.dtype)
    columns = mean.numel() // batch
    grad_mean = torch.empty_like(mean) if need_gradients else mean.new_empty(0)
    grad_scale = torch.empty_like(scale) if need_gradients else mean.new_empty(0)
    if columns == 0:
        kl = mean.new_zeros(batch, dtype=dtype)
        return _LatentPass(kl, grad_mean, grad_scale, kl[:0] if free_bits > 0.0 else None)
    tile = tile_for(columns)
    row_tiles = triton.cdiv(batch, tile.rows)
    kl = empty_partials(mean, batch, tile.chunks)
    wide = is_wide(mean.numel())

    def launch(kl: Tensor | None, column_sum: Tensor | None, column_weight: Tensor | None, gradients: bool) -> None:
        kl_kernel[(row_tiles * tile.chunks,)](
            kl, column_sum, column_weight, grad_mean if gradients else None, grad_scale if gradients else
            None, grad_loss, mean, scale, prior_mean, prior_logvar, batch, columns // tile.unit, tile.chunks, beta,
            MEAN=mean_reduction, SCALE_KIND=scale_kind, PRIOR_MEAN_KIND=operand_kind(prior_mean, columns,
            batch), PRIOR_LOGVAR_KIND=operand_kind(prior_logvar, columns, batch), UNIT=tile.unit,
            ROWS=tile.rows, COLS=tile.cols, CHUNKED=tile.chunks > 1, FULL=tile.full, WIDE=wide,
            **launch_options(tile),
        )  # fmt: skip

    if free_bits > 0.0:
        # Whether a column's gradient flows depends on the whole batch, so the gradients need a second pass.
        column_sum = torch.empty(row_tiles, columns, dtype=dtype, device=mean.device)
        column_weight, column_term = torch.empty(2, columns, dtype=dtype, device=mean.device)
        launch(kl, column_sum, None, False)
        free_bits_kernel[(triton.cdiv(columns, 128),)](
            column_weight, column_term, column_sum, grad_loss, batch, columns, row_tiles, beta, free_bits,
            MEAN=mean_reduction, ROWS=16, COLS=128, WIDE=wide, **_VECTOR_OPTIONS,
        )  # fmt: skip
        if need_gradients:
            launch(None, None, column_weight, True)
        return _LatentPass(row_sums(kl, (batch,)), grad_mean, grad_scale, column_term)
    launch(kl, None, None, need_gradients)
    return _LatentPass(row_sums(kl, (batch,)), grad_mean, grad_scale, None)


def _logvar_gradient(grad: Tensor, logvar: Tensor | None) -> Tensor:
    """Reduce the kernel's gradient to the shape of the log-variance it belongs to."""
    if logvar is None or grad.numel() == 0:
        return grad if logvar is None else grad.new_zeros(logvar.shape, dtype=logvar.dtype)
    # logvar repeats over the leading rows of the output: one value, one row, one row per example, or all
    # rows.
    total = grad.sum() if logvar.numel() == 1 else grad.view(-1, logvar.numel()).sum(0)
    return total.view(logvar.shape).to(logvar.dtype)


def _fake(
    decoder_output: Tensor,
    target: Tensor,
    likelihood_logvar: Tensor | None,
    mask: Tensor | None,
    mean: Tensor,
    scale: Tensor,
    *options: Tensor | float | None,
) -> tuple[Tensor, ...]:
    """Shapes and dtypes alone; the reference cannot serve, since it differentiates."""
    dtype, latent_dtype = accumulation_dtype(decoder_output.dtype), accumulation_dtype(mean.dtype)
    values = (
        mean.new_empty((), dtype=torch.promote_types(dtype, latent_dtype)),
        mean.new_empty(mean.shape[:1], dtype=dtype),
        mean.new_empty(mean.shape[:1], dtype=latent_dtype),
    )
    need_gradients, nothing = options[-2], mean.new_empty(0)
    inputs = (decoder_output, likelihood_logvar, mean, scale)
    return *values, *(
        nothing.clone() if tensor is None or not need_gradients else tensor.new_empty(tensor.shape) for tensor in inputs
    )


@traceable(
    "negative_elbo(Tensor decoder_output, Tensor target, Tensor? likelihood_logvar, Tensor? mask, "
    "Tensor mean, Tensor scale, Tensor? prior_mean, Tensor? prior_logvar, float beta, float free_bits, "
    "int likelihood, int scale_kind, bool mean_reduction, bool need_gradients, Tensor? grad_loss) -> "
    "(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    fake=_fake,
)
def negative_elbo(
    decoder_output: Tensor,
    target: Tensor,
    likelihood_logvar: Tensor | None,
    mask: Tensor | None,
    mean: Tensor,
    scale: Tensor,
    prior_mean: Tensor | None,
    prior_logvar: Tensor | None,
    beta: float,
    free_bits: float,
    likelihood: int,
    scale_kind: int,
    mean_reduction: bool,
    need_gradients: bool,
    grad_loss: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """(loss [], log_likelihood [batch], kl [batch], and the loss's gradients of decoder_output,
    likelihood_logvar, mean, scale, times the incoming grad_loss [] (None: 1); gradients without elements unless
    needed)."""
    batch = mean.shape[0]
    if batch == 0:  # No kernel has anything to do; the mean over no example is NaN, as in eager.
        return reference.negative_elbo(
            decoder_output, target, likelihood_logvar, mask, mean, scale, prior_mean, prior_logvar, beta,
            free_bits, likelihood, scale_kind, mean_reduction, need_gradients, grad_loss,
        )  # fmt: skip
    dtype = accumulation_dtype(decoder_output.dtype)
    loss_dtype = torch.promote_types(dtype, accumulation_dtype(mean.dtype))
    pixels = Likelihood(
        gaussian_terms if likelihood else bernoulli_terms, decoder_output, target, likelihood_logvar, mask
    )
    need_logvar = need_gradients and likelihood_logvar is not None
    with on_device_of(mean):
        values, grad_output, _, grad_logvar = run_likelihood(
            pixels, value=True, grad=grad_loss, grad_kind=(GRADIENT_OF_LOSS if need_gradients else NO_GRADIENT).value,
            mean_loss=mean_reduction, need_output=need_gradients, need_logvar=need_logvar,
        )  # fmt: skip
        latents = _latent_pass(
            mean,
            scale,
            prior_mean,
            prior_logvar,
            beta,
            free_bits,
            scale_kind,
            mean_reduction,
            need_gradients,
            grad_loss,
        )
        samples = values.numel() // batch
        blocks = triton.cdiv(batch, _BATCH_BLOCK)
        log_likelihood = torch.empty(batch, dtype=dtype, device=mean.device)
        block_sums = torch.empty(2, blocks, dtype=loss_dtype, device=mean.device)
        loss = torch.empty((), dtype=loss_dtype, device=mean.device)
        batch_sums_kernel[(blocks,)](
            log_likelihood, block_sums, values, latents.kl, samples, batch, BLOCK=_BATCH_BLOCK,
            WIDE=is_wide(values.numel()), **_VECTOR_OPTIONS,
        )  # fmt: skip
        columns = 0 if latents.column_term is None else latents.column_term.numel()
        loss_kernel[(1,)](
            loss, block_sums, latents.column_term, batch, columns, blocks, beta, MEAN=mean_reduction,
            BLOCK=_BATCH_BLOCK, **_VECTOR_OPTIONS,
        )  # fmt: skip
    grad_logvar = _logvar_gradient(grad_logvar, likelihood_logvar if need_logvar else None)
    grads = grad_output, grad_logvar, latents.grad_mean, latents.grad_scale
    return loss, log_likelihood, latents.kl, *grads

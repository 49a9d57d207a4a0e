"""Triton kernels and launchers of reparameterize_kl, with the signatures of the native ops."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from deepgen_fast.ops.reparameterize_kl.triton_math import (
    expand_scale,
    kl_divergence,
    kl_mean_slope,
    kl_prior_logvar_slope,
    kl_scale_slope,
    reparameterize,
    std_slope,
)
from deepgen_fast.ops.rows import accumulation_dtype
from deepgen_fast.ops.triton_compile import traceable
from deepgen_fast.ops.triton_likelihood import operand_kind
from deepgen_fast.ops.triton_math import accumulation_dtype as kernel_accumulation_dtype
from deepgen_fast.ops.triton_math import weighted
from deepgen_fast.ops.triton_noise import philox_normal
from deepgen_fast.ops.triton_tiles import (
    empty_partials,
    is_wide,
    launch_options,
    load_operand,
    on_device_of,
    row_sums,
    samples_per_program,
    tile_for,
    tile_inside,
)


@triton.jit
def load_prior(prior_ptr, row, batch, col, columns, inside, KIND: tl.constexpr, FULL: tl.constexpr, ACC: tl.constexpr):
    """A prior's parameter for the tile. The caller takes None for an absent one: a function gives no None before Triton
    3.9."""
    return load_operand(prior_ptr, 0, row, batch, col, columns, inside, KIND, FULL).to(ACC)


@triton.jit
def _noise(noise_ptr, seed_ptr, row, sample, chunk, offset, inside, ROWS, COLS, ACC):
    if noise_ptr is not None:
        return tl.load(noise_ptr + offset, mask=inside).to(ACC)
    else:
        return philox_normal(tl.load(seed_ptr), row, chunk * (COLS // 4), sample, ROWS, COLS).to(ACC)


@triton.jit(do_not_specialize=["samples", "batch", "units", "chunks"])
def forward_kernel(
    z_ptr,
    kl_ptr,
    mean_ptr,
    scale_ptr,
    prior_mean_ptr,
    prior_logvar_ptr,
    noise_ptr,
    seed_ptr,
    samples,
    batch,
    units,
    chunks,
    ELEMENTWISE: tl.constexpr,
    SCALE_KIND: tl.constexpr,
    PRIOR_MEAN_KIND: tl.constexpr,
    PRIOR_LOGVAR_KIND: tl.constexpr,
    SAMPLES: tl.constexpr,
    UNIT: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
    CHUNKED: tl.constexpr,
    FULL: tl.constexpr,
    WIDE: tl.constexpr,
):
    ACC: tl.constexpr = kernel_accumulation_dtype(mean_ptr.dtype.element_ty)
    columns = units * UNIT
    tile = tl.program_id(0)
    if WIDE:
        tile = tile.to(tl.int64)
    chunk = tile % chunks if CHUNKED else tile * 0
    row = (tile // chunks if CHUNKED else tile) * ROWS + tl.arange(0, ROWS)
    col = chunk * COLS + tl.arange(0, COLS)
    row_mask = row < batch
    inside = tile_inside(row, batch, col, columns, ROWS, FULL)
    offset = row[:, None] * columns + col[None, :]
    mean = tl.load(mean_ptr + offset, mask=inside).to(ACC)
    scale = tl.load(scale_ptr + offset, mask=inside).to(ACC)
    std, variance, logvar = expand_scale(scale, SCALE_KIND)

    for step in tl.static_range(SAMPLES if z_ptr is not None else 0):
        sample = tl.program_id(1) * SAMPLES + step
        if WIDE:
            sample = sample.to(tl.int64)
        z_mask = inside
        if SAMPLES > 1:
            z_mask = (row < tl.where(sample < samples, batch, 0))[:, None] & (col < columns)[None, :]
        z_offset = (sample * batch + row)[:, None] * columns + col[None, :]
        noise = _noise(noise_ptr, seed_ptr, row, sample, chunk, z_offset, z_mask, ROWS, COLS, ACC)
        z = reparameterize(mean, std, scale, noise)
        tl.store(z_ptr + z_offset, z.to(z_ptr.dtype.element_ty), mask=z_mask)

    if tl.program_id(1) == 0:
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
        kl = kl_divergence(mean, std, variance, logvar, prior_mean, prior_logvar, SCALE_KIND)
        if ELEMENTWISE:
            tl.store(kl_ptr + offset, kl, mask=inside)
        else:
            if not FULL:
                kl = tl.where((col < columns)[None, :], kl, 0.0)
            tl.store(kl_ptr + (row * chunks + chunk), tl.sum(kl, axis=1), mask=row_mask)


@triton.jit(do_not_specialize=["samples", "batch", "units", "chunks"])
def backward_kernel(
    grad_mean_ptr,
    grad_scale_ptr,
    grad_prior_mean_ptr,
    grad_prior_logvar_ptr,
    grad_z_ptr,
    grad_kl_ptr,
    mean_ptr,
    scale_ptr,
    prior_mean_ptr,
    prior_logvar_ptr,
    noise_ptr,
    seed_ptr,
    samples,
    batch,
    units,
    chunks,
    ELEMENTWISE: tl.constexpr,
    SCALE_KIND: tl.constexpr,
    PRIOR_MEAN_KIND: tl.constexpr,
    PRIOR_LOGVAR_KIND: tl.constexpr,
    ONE_SAMPLE: tl.constexpr,
    UNIT: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
    CHUNKED: tl.constexpr,
    FULL: tl.constexpr,
    WIDE: tl.constexpr,
):
    ACC: tl.constexpr = kernel_accumulation_dtype(mean_ptr.dtype.element_ty)
    columns = units * UNIT
    tile = tl.program_id(0)
    if WIDE:
        tile = tile.to(tl.int64)
    chunk = tile % chunks if CHUNKED else tile * 0
    row = (tile // chunks if CHUNKED else tile) * ROWS + tl.arange(0, ROWS)
    col = chunk * COLS + tl.arange(0, COLS)
    row_mask = row < batch
    inside = tile_inside(row, batch, col, columns, ROWS, FULL)
    offset = row[:, None] * columns + col[None, :]
    scale = tl.load(scale_ptr + offset, mask=inside).to(ACC)
    grad_mean = tl.zeros([ROWS, COLS], ACC)
    grad_std = tl.zeros([ROWS, COLS], ACC)
    if grad_z_ptr is not None:
        if ONE_SAMPLE:
            grad_mean = tl.load(grad_z_ptr + offset, mask=inside).to(ACC)
            grad_std = grad_mean * _noise(noise_ptr, seed_ptr, row, chunk * 0, chunk, offset, inside, ROWS, COLS, ACC)
        else:
            for index in range(samples):
                sample = tl.cast(index, tl.int32)
                if WIDE:
                    sample = sample.to(tl.int64)
                z_offset = (sample * batch + row)[:, None] * columns + col[None, :]
                grad_z = tl.load(grad_z_ptr + z_offset, mask=inside).to(ACC)
                grad_mean += grad_z
                grad_std += grad_z * _noise(
                    noise_ptr, seed_ptr, row, sample, chunk, z_offset, inside, ROWS, COLS, ACC
                )  # fmt: skip
    grad_scale = grad_std
    if grad_z_ptr is not None:
        grad_scale = grad_std * std_slope(scale, SCALE_KIND)

    if grad_kl_ptr is not None:
        mean = tl.load(mean_ptr + offset, mask=inside).to(ACC)
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
        if ELEMENTWISE:
            grad_kl = tl.load(grad_kl_ptr + offset, mask=inside)
        else:
            grad_kl = tl.load(grad_kl_ptr + row, mask=row_mask)[:, None]
        kl_grad_mean = weighted(grad_kl, kl_mean_slope(mean, prior_mean, prior_logvar))
        grad_mean += kl_grad_mean
        grad_scale += weighted(grad_kl, kl_scale_slope(scale, prior_logvar, SCALE_KIND))
        if grad_prior_mean_ptr is not None:
            tl.store(grad_prior_mean_ptr + offset, -kl_grad_mean, mask=inside)
            prior_slope = kl_prior_logvar_slope(mean, scale, prior_mean, prior_logvar, SCALE_KIND)
            prior_slope = weighted(grad_kl, prior_slope)
            tl.store(grad_prior_logvar_ptr + offset, prior_slope, mask=inside)
    tl.store(grad_mean_ptr + offset, grad_mean.to(grad_mean_ptr.dtype.element_ty), mask=inside)
    tl.store(grad_scale_ptr + offset, grad_scale.to(grad_scale_ptr.dtype.element_ty), mask=inside)


@traceable(
    "reparameterize_kl(Tensor mean, Tensor scale, Tensor? prior_mean, Tensor? prior_logvar, Tensor? noise, "
    "Tensor? seed, SymInt? num_samples, int scale_kind, bool elementwise_kl) -> (Tensor, Tensor)"
)
def reparameterize_kl(
    mean: Tensor,
    scale: Tensor,
    prior_mean: Tensor | None,
    prior_logvar: Tensor | None,
    noise: Tensor | None,
    seed: Tensor | None,
    num_samples: int | None,
    scale_kind: int,
    elementwise_kl: bool,
) -> tuple[Tensor, Tensor]:
    """(z [(samples,) batch, *event] in mean's dtype, kl [batch] or per element in the accumulation dtype)."""
    samples, batch = 1 if num_samples is None else num_samples, mean.shape[0]
    z = torch.empty(mean.shape if num_samples is None else (samples, *mean.shape), dtype=mean.dtype, device=mean.device)
    if mean.numel() == 0:
        kl_shape = mean.shape if elementwise_kl else mean.shape[:1]
        return z, torch.zeros(kl_shape, dtype=accumulation_dtype(mean.dtype), device=mean.device)
    columns = mean.numel() // batch
    tile = tile_for(columns)
    kl = (
        torch.empty_like(mean, dtype=accumulation_dtype(mean.dtype))
        if elementwise_kl
        else empty_partials(mean, batch, tile.chunks)
    )
    programs = triton.cdiv(batch, tile.rows) * tile.chunks
    per_program = samples_per_program(samples, programs)
    with on_device_of(mean):
        # At least one group of samples runs: it writes the KL even when no sample is asked for.
        forward_kernel[(programs, max(1, triton.cdiv(samples, per_program)))](
            z if samples else None, kl, mean, scale, prior_mean, prior_logvar, noise, seed, samples, batch,
            columns // tile.unit,
            tile.chunks, ELEMENTWISE=elementwise_kl, SCALE_KIND=scale_kind,
            PRIOR_MEAN_KIND=operand_kind(prior_mean, columns, batch),
            PRIOR_LOGVAR_KIND=operand_kind(prior_logvar, columns, batch), SAMPLES=per_program, UNIT=tile.unit,
            ROWS=tile.rows, COLS=tile.cols, CHUNKED=tile.chunks > 1, FULL=tile.full,
            WIDE=is_wide(z.numel(), mean.numel()), **launch_options(tile),
        )  # fmt: skip
        return z, kl if elementwise_kl else row_sums(kl, (batch,))


@traceable(
    "reparameterize_kl_backward(Tensor? grad_z, Tensor? grad_kl, Tensor mean, Tensor scale, "
    "Tensor? prior_mean, Tensor? prior_logvar, Tensor? noise, Tensor? seed, SymInt? num_samples, "
    "int scale_kind, bool elementwise_kl, bool need_prior) -> (Tensor, Tensor, Tensor, Tensor)"
)
def reparameterize_kl_backward(
    grad_z: Tensor | None,
    grad_kl: Tensor | None,
    mean: Tensor,
    scale: Tensor,
    prior_mean: Tensor | None,
    prior_logvar: Tensor | None,
    noise: Tensor | None,
    seed: Tensor | None,
    num_samples: int | None,
    scale_kind: int,
    elementwise_kl: bool,
    need_prior: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(grad_mean, grad_scale, grad_prior_mean, grad_prior_logvar), each [batch, *event]; the priors' are of the
    accumulation dtype, as they may still be summed, with no elements unless needed. The noise is generated again from
    the seed."""
    samples, batch = 1 if num_samples is None else num_samples, mean.shape[0]
    grad_mean, grad_scale = torch.empty_like(mean), torch.empty_like(scale)
    # Zero, not empty: without a gradient of the KL nothing flows into the prior.
    new_prior = torch.empty_like if grad_kl is not None else torch.zeros_like
    wide = accumulation_dtype(mean.dtype)
    grad_prior_mean = new_prior(mean, dtype=wide) if need_prior else mean.new_empty(0, dtype=wide)
    grad_prior_logvar = new_prior(mean, dtype=wide) if need_prior else mean.new_empty(0, dtype=wide)
    if mean.numel():
        columns = mean.numel() // batch
        tile = tile_for(columns)
        with on_device_of(mean):
            backward_kernel[(triton.cdiv(batch, tile.rows) * tile.chunks,)](
                grad_mean, grad_scale, grad_prior_mean if need_prior else None, grad_prior_logvar if
                need_prior else None, grad_z, grad_kl, mean, scale, prior_mean, prior_logvar, noise, seed,
                samples, batch, columns // tile.unit, tile.chunks, ELEMENTWISE=elementwise_kl,
                SCALE_KIND=scale_kind, PRIOR_MEAN_KIND=operand_kind(prior_mean, columns, batch),
                PRIOR_LOGVAR_KIND=operand_kind(prior_logvar, columns, batch), ONE_SAMPLE=num_samples is None,
                UNIT=tile.unit, ROWS=tile.rows, COLS=tile.cols, CHUNKED=tile.chunks > 1, FULL=tile.full,
                WIDE=is_wide(mean.numel(), 0 if grad_z is None else grad_z.numel()), **launch_options(tile),
            )  # fmt: skip
    return grad_mean, grad_scale, grad_prior_mean, grad_prior_logvar

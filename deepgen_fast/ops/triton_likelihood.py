"""The one Triton kernel of both likelihoods: values, gradients, or both in one pass over the decoder output.

``TERMS`` is the likelihood: a function (output, target, logvar) -> (value, and its three derivatives) of one
pixel. A launch asks for outputs by passing pointers; what is not asked for is neither computed nor compiled.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from deepgen_fast.ops.rows import accumulation_dtype
from deepgen_fast.ops.triton_math import accumulation_dtype as kernel_accumulation_dtype
from deepgen_fast.ops.triton_math import divide, weighted
from deepgen_fast.ops.triton_tiles import (
    ONE_ROW,
    ONE_VALUE,
    ROW_PER_EXAMPLE,
    ROW_PER_SAMPLE,
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

# Where the incoming gradient comes from.
NO_GRADIENT, GRADIENT_PER_ROW, GRADIENT_PER_ELEMENT, GRADIENT_OF_LOSS = (tl.constexpr(code) for code in range(4))


@triton.jit
def _incoming_gradient(grad_ptr, sample_row, offset, row_mask, inside, samples, batch, ACC, GRAD, MEAN):
    """Scalar, [ROWS, 1] or [ROWS, COLS] in ACC."""
    if GRAD == GRADIENT_PER_ROW:
        return tl.load(grad_ptr + sample_row, mask=row_mask)[:, None]
    elif GRAD == GRADIENT_PER_ELEMENT:
        return tl.load(grad_ptr + offset, mask=inside)
    else:
        # The loss is minus the mean over samples, summed or averaged over the batch.
        count = samples * batch if MEAN else samples
        weight = divide(tl.full([1, 1], -1.0, ACC), tl.full([1, 1], count, ACC))
        return weight if grad_ptr is None else weight * tl.load(grad_ptr)


@triton.jit(do_not_specialize=["samples", "batch", "units", "chunks"])
def likelihood_kernel(
    value_ptr,
    grad_output_ptr,
    grad_target_ptr,
    grad_logvar_ptr,
    grad_ptr,
    output_ptr,
    target_ptr,
    logvar_ptr,
    mask_ptr,
    samples,
    batch,
    units,
    chunks,
    TERMS: tl.constexpr,
    ELEMENTWISE: tl.constexpr,
    GRAD: tl.constexpr,
    MEAN: tl.constexpr,
    LOGVAR_KIND: tl.constexpr,
    MASK_KIND: tl.constexpr,
    SAMPLES: tl.constexpr,
    UNIT: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
    CHUNKED: tl.constexpr,
    FULL: tl.constexpr,
    WIDE: tl.constexpr,
):
    ACC: tl.constexpr = kernel_accumulation_dtype(output_ptr.dtype.element_ty)
    columns = units * UNIT
    tile = tl.program_id(0)
    if WIDE:
        tile = tile.to(tl.int64)
    chunk = tile % chunks if CHUNKED else 0
    row = (tile // chunks if CHUNKED else tile) * ROWS + tl.arange(0, ROWS)
    col = chunk * COLS + tl.arange(0, COLS)
    row_mask = row < batch
    inside = tile_inside(row, batch, col, columns, ROWS, FULL)
    target = load_operand(target_ptr, 0, row, batch, col, columns, inside, ROW_PER_EXAMPLE, FULL).to(ACC)
    logvar = None
    if logvar_ptr is not None and LOGVAR_KIND != ROW_PER_SAMPLE:
        logvar = load_operand(logvar_ptr, 0, row, batch, col, columns, inside, LOGVAR_KIND, FULL).to(ACC)
    keep = None
    if mask_ptr is not None and MASK_KIND != ROW_PER_SAMPLE:
        keep = load_operand(mask_ptr, 0, row, batch, col, columns, inside, MASK_KIND, FULL)

    for step in tl.static_range(SAMPLES):
        sample = tl.program_id(1) * SAMPLES + step
        if WIDE:
            sample = sample.to(tl.int64)
        if SAMPLES > 1:
            row_mask = row < tl.where(sample < samples, batch, 0)
            inside = row_mask[:, None] & (col < columns)[None, :]
        sample_row = sample * batch + row
        offset = sample_row[:, None] * columns + col[None, :]
        output = tl.load(output_ptr + offset, mask=inside).to(ACC)
        if logvar_ptr is not None and LOGVAR_KIND == ROW_PER_SAMPLE:
            logvar = tl.load(logvar_ptr + offset, mask=inside).to(ACC)
        if mask_ptr is not None and MASK_KIND == ROW_PER_SAMPLE:
            keep = tl.load(mask_ptr + offset, mask=inside)
        value, output_slope, target_slope, logvar_slope = TERMS(output, target, logvar)

        if value_ptr is not None:
            if keep is not None:
                value = tl.where(keep, value, 0.0)
            if ELEMENTWISE:
                tl.store(value_ptr + offset, value, mask=inside)
            else:
                if not FULL:
                    value = tl.where((col < columns)[None, :], value, 0.0)
                tl.store(value_ptr + (sample_row * chunks + chunk), tl.sum(value, axis=1), mask=row_mask)

        if GRAD != NO_GRADIENT:
            grad = _incoming_gradient(
                grad_ptr, sample_row, offset, row_mask, inside, samples, batch, ACC, GRAD, MEAN
            )  # fmt: skip
            if grad_output_ptr is not None:
                grad_output = weighted(grad, output_slope)
                if keep is not None:
                    grad_output = tl.where(keep, grad_output, 0.0)
                tl.store(grad_output_ptr + offset, grad_output.to(grad_output_ptr.dtype.element_ty), mask=inside)
            if grad_target_ptr is not None:
                grad_target = weighted(grad, target_slope)
                if keep is not None:
                    grad_target = tl.where(keep, grad_target, 0.0)
                tl.store(grad_target_ptr + offset, grad_target, mask=inside)
            if grad_logvar_ptr is not None:
                grad_logvar = weighted(grad, logvar_slope)
                if keep is not None:
                    grad_logvar = tl.where(keep, grad_logvar, 0.0)
                if LOGVAR_KIND == ONE_VALUE:
                    if not FULL:
                        grad_logvar = tl.where((col < columns)[None, :], grad_logvar, 0.0)
                    partial = tl.sum(grad_logvar, axis=1)
                    tl.store(grad_logvar_ptr + (sample_row * chunks + chunk), partial, mask=row_mask)
                else:
                    grad_logvar = grad_logvar.to(grad_logvar_ptr.dtype.element_ty)
                    tl.store(grad_logvar_ptr + offset, grad_logvar, mask=inside)


class Likelihood(NamedTuple):
    """A likelihood and its contiguous operands: output [(samples,) batch, *event], target [batch, *event]."""

    terms: triton.JITFunction
    output: Tensor
    target: Tensor
    logvar: Tensor | None
    mask: Tensor | None

    @property
    def leading(self) -> tuple[int, ...]:
        """[(samples,) batch], the shape of one value per row."""
        return tuple(self.output.shape[: self.output.dim() - self.target.dim() + 1])


def operand_kind(operand: Tensor | None, columns: int, batch: int) -> int:
    """Which rows an operand has, from its number of elements."""
    if operand is None or operand.numel() == 1:
        return ONE_VALUE.value
    if operand.numel() == columns:
        return ONE_ROW.value
    return (ROW_PER_EXAMPLE if operand.numel() == batch * columns else ROW_PER_SAMPLE).value


class LikelihoodOutputs(NamedTuple):
    """What a pass wrote; no elements where not asked for."""

    value: Tensor
    grad_output: Tensor
    grad_target: Tensor
    grad_logvar: Tensor


def run_likelihood(
    likelihood: Likelihood,
    *,
    value: bool = False,
    elementwise: bool = False,
    grad: Tensor | None = None,
    grad_kind: int = NO_GRADIENT.value,
    mean_loss: bool = False,
    need_output: bool = False,
    need_target: bool = False,
    need_logvar: bool = False,
) -> LikelihoodOutputs:
    """Launch the kernel: per-row values [(samples,) batch] or per element, and the gradients asked for.

    ``grad`` is the incoming gradient of each row or element, or of a loss (one number; None: 1). ``grad_logvar`` is one
    value per row for a logvar of one element, else of the output's shape: in logvar's dtype, or in the accumulation
    dtype if it is still to be summed over rows.
    """
    terms, output, target, logvar, mask = likelihood
    leading, dtype, batch = likelihood.leading, accumulation_dtype(output.dtype), target.shape[0]
    rows = math.prod(leading)
    columns = output.numel() // rows if rows else 0
    tile = tile_for(columns)
    logvar_kind = operand_kind(logvar, columns, batch)
    row_value, row_logvar = value and not elementwise, need_logvar and logvar_kind == ONE_VALUE.value
    logvar_dtype = output.dtype if logvar is None else logvar.dtype
    if logvar is not None and logvar.numel() < output.numel():
        logvar_dtype = dtype

    def buffer(needed: bool, per_row: bool, element: torch.dtype) -> Tensor:
        if not needed:
            return output.new_empty(0)
        return empty_partials(output, rows, tile.chunks) if per_row else torch.empty_like(output, dtype=element)

    outputs = LikelihoodOutputs(
        buffer(value, row_value, dtype),
        buffer(need_output, False, output.dtype),
        buffer(need_target, False, dtype),
        buffer(need_logvar, row_logvar, logvar_dtype),
    )
    with on_device_of(output):
        if output.numel():
            samples = rows // batch
            programs = triton.cdiv(batch, tile.rows) * tile.chunks
            per_program = samples_per_program(samples, programs)
            likelihood_kernel[(programs, triton.cdiv(samples, per_program))](
                *(tensor if tensor.numel() else None for tensor in outputs), grad, output, target, logvar, mask,
                samples, batch, columns // tile.unit, tile.chunks, TERMS=terms, ELEMENTWISE=elementwise,
                GRAD=grad_kind, MEAN=mean_loss, LOGVAR_KIND=logvar_kind,
                MASK_KIND=operand_kind(mask, columns, batch), SAMPLES=per_program, UNIT=tile.unit, ROWS=tile.rows,
                COLS=tile.cols, CHUNKED=tile.chunks > 1, FULL=tile.full, WIDE=is_wide(output.numel()),
                **launch_options(tile),
            )  # fmt: skip
        if row_value:
            outputs = outputs._replace(value=row_sums(outputs.value, leading))
        if row_logvar:
            outputs = outputs._replace(grad_logvar=row_sums(outputs.grad_logvar, leading))
    return outputs

"""The row view all ops share: a tensor [(samples,) batch, *event] is rows of columns, and operands repeat over rows."""

from __future__ import annotations

import torch
from torch import Tensor

from deepgen_fast.tracing import call, symbolic


def accumulation_dtype(dtype: torch.dtype) -> torch.dtype:
    """float64 for float64 inputs, float32 for every other floating dtype."""
    if symbolic(dtype):
        return call(torch.promote_types, dtype, torch.float32)
    return torch.float64 if dtype == torch.float64 else torch.float32


def expand_rows(operand: Tensor, shape: torch.Size) -> Tensor:
    """View ``operand`` in ``shape``: one element, the trailing dimensions, or all of them.

    An operand of fewer rows repeats: row r of ``shape`` meets row r modulo the operand's rows.
    """
    if symbolic(operand, shape):
        return operand  # broadcasts
    return operand.expand(shape) if operand.numel() == 1 or operand.dim() <= len(shape) else operand.reshape(shape)


def sum_event(values: Tensor, leading: int) -> Tensor:
    """Sum over the event dimensions, all but the first ``leading``."""
    if symbolic(values, leading):
        return values.unsqueeze(-1).flatten(leading).sum(leading)
    return values.sum(dim=tuple(range(leading, values.dim()))) if values.dim() > leading else values


def leading_view(value: Tensor, like: Tensor) -> Tensor:
    """View a per-row value ``[(samples,) batch]`` so that it broadcasts against ``like``."""
    return value.view(*value.shape, *(1,) * (like.dim() - value.dim()))

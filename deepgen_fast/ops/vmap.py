"""vmap of row-wise operators: the mapped dimension joins the batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def _to_front(tensor: Tensor, dim: int | None, size: int) -> Tensor:
    return tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)


def merge_batch(tensor: Tensor, dim: int | None, size: int, batch_dim: int) -> Tensor:
    """``[..., batch, ...]`` with a mapped dimension at ``dim`` -> the mapped dimension merged into ``batch_dim``."""
    tensor = _to_front(tensor, dim, size).movedim(0, batch_dim)
    return tensor.flatten(batch_dim, batch_dim + 1)


def split_batch(tensor: Tensor, size: int, batch_dim: int) -> Tensor:
    """Undo :func:`merge_batch`: the mapped dimension comes back at ``batch_dim``."""
    return tensor.unflatten(batch_dim, (size, -1)) if tensor.numel() or size else tensor.unflatten(batch_dim, (size, 0))


def flatten_rows(
    size: int, leading: int, dims: tuple[Any, ...], output: Tensor, target: Tensor, *operands: Tensor | None
) -> tuple[tuple[Any, ...], int]:
    """Merge the mapped dimension of a likelihood's operands into the batch.

    ``output`` is ``[(samples,) batch, *event]`` with ``leading`` leading dimensions, ``target`` ``[batch, *event]``;
    the others repeat over rows and are expanded to ``output``, since different lanes may hold different ones.
    """
    merged_output = merge_batch(output, dims[0], size, leading - 1)
    merged_target = merge_batch(target, dims[1], size, 0)
    logical = torch.Size(s for i, s in enumerate(output.shape) if i != dims[0])
    merged: list[Tensor | None] = []
    for operand, dim in zip(operands, dims[2:], strict=True):
        if operand is None:
            merged.append(None)
            continue
        front = _to_front(operand, dim, size)
        full = front.view(size, *(1,) * (len(logical) - front.dim() + 1), *front.shape[1:]).expand(size, *logical)
        merged.append(full.movedim(0, leading - 1).flatten(leading - 1, leading))
    return (merged_output, merged_target, *merged), logical[leading - 1]


def restore_rows(value: Tensor, size: int, leading: int, batch: int) -> Tensor:
    """Give a result ``[(samples,) size * batch, ...]`` its mapped dimension back, at ``leading - 1``."""
    return value.unflatten(leading - 1, (size, batch))

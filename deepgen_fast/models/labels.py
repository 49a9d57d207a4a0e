"""Classes that a model is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

#: One a sample, or one for all.
Labels: TypeAlias = Tensor | Sequence[int] | int


def as_labels(labels: Labels, count: int, num_classes: int, name: str = "labels") -> Tensor:
    """int64 ``[count]``, from one for all or as many.

    Args:
        labels: what was asked for.
        count: samples.
        num_classes: number of classes K; labels are 0 to K - 1.
        name: of the argument, for messages.

    Raises:
        ValueError: no integers, another number of them, or out of range.
    """
    given = torch.as_tensor(labels)
    if given.numel() and (given.is_floating_point() or given.dtype == torch.bool):
        raise ValueError(f"{name}: expected integers, got {given.dtype}")
    given = given.to(torch.int64)
    given = given.expand(count) if given.dim() == 0 else given
    if given.shape != (count,):
        raise ValueError(f"{name}: expected {count}, or one for all, got shape {list(given.shape)}")
    if count:
        low, high = (int(bound) for bound in given.aminmax())
        if low < 0 or high >= num_classes:
            raise ValueError(f"{name}: expected 0 to {num_classes - 1}, got {low} to {high}")
    return given


def labels_in_turn(count: int, num_classes: int, device: torch.device | None = None) -> Tensor:
    """int64 ``[count]``: 0, 1, ..., K - 1, 0, 1, ..."""
    return torch.arange(count, device=device) % num_classes

"""What a batch-norm layer does with its running statistics in a call, told as its own forward would."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor


class Running(NamedTuple):
    """The buffers that this call moves or normalises by, the weight of this batch, and whether batches are counted."""

    mean: Tensor | None
    variance: Tensor | None
    momentum: float
    counted: bool


def running(norm: Any) -> Running:
    """Of an ``nn.BatchNorm*d``: the number of batches is raised after the call, where ``counted``."""
    counted = norm.training and norm.track_running_stats and norm.num_batches_tracked is not None
    kept = norm.track_running_stats or not norm.training
    mean, variance = (norm.running_mean, norm.running_var) if kept else (None, None)
    return Running(mean, variance, _momentum(norm, counted), counted)


def uses_batch(norm: Any) -> bool:
    """Whether statistics are the batch's: in training, and where there are no running ones."""
    return norm.training or (norm.running_mean is None and norm.running_var is None)


def _momentum(norm: Any, counted: bool) -> float:
    """Without a momentum the running statistics are the average over all batches."""
    if norm.momentum is not None:
        return norm.momentum
    return 1.0 / (float(norm.num_batches_tracked) + 1.0) if counted else 0.0

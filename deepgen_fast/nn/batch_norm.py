"""What a batch-norm layer does with its running statistics: in a call, told as its own forward would, and put aside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import Tensor, nn


class Running(NamedTuple):
    """The buffers that this call moves or normalizes by, the weight of this batch, and whether batches are counted."""

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


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Within this, batch norms of the model have the batch's statistics; their running ones stay as they are.

    For networks whose running statistics mix what never comes in one batch, as a discriminator's do: real and generated
    examples.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    kept = [(norm.training, {name: buffer.clone() for name, buffer in norm.named_buffers()}) for norm in norms]
    for norm in norms:
        norm.train()
    try:
        yield
    finally:
        for norm, (training, buffers) in zip(norms, kept, strict=True):
            norm.train(training)
            for name, buffer in norm.named_buffers():
                buffer.copy_(buffers[name])

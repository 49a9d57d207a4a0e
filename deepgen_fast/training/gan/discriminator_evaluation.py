"""A discriminator at rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from deepgen_fast.metrics.evaluation import evaluation_mode
from deepgen_fast.nn.batch_norm import batch_statistics


@contextmanager
def judging(model: torch.nn.Module) -> Iterator[None]:
    """Eval mode, but batch norm has the batch's statistics, as in training; its running ones stay as they are.

    A discriminator is never meant to run otherwise: its running statistics mix real and generated batches.
    """
    with evaluation_mode(model), batch_statistics(model):
        yield

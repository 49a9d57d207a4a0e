"""A discriminator at rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from deepgen_fast.metrics.evaluation import evaluation_mode


@contextmanager
def judging(model: torch.nn.Module) -> Iterator[None]:
    """Eval mode, but batch norm has the batch's statistics, as in training; its running ones stay as they are.

    A discriminator is never meant to run otherwise: its running statistics mix real and generated batches.
    """
    norms = [module for module in model.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]
    kept = [{name: buffer.clone() for name, buffer in norm.named_buffers()} for norm in norms]
    with evaluation_mode(model):
        for norm in norms:
            norm.train()
        try:
            yield
        finally:
            for norm, buffers in zip(norms, kept, strict=True):
                for name, buffer in norm.named_buffers():
                    buffer.copy_(buffers[name])

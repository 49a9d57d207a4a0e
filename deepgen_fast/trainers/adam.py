"""The optimiser of every trainer."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from deepgen_fast.trainers.config import TrainerConfig


def build_adam(
    parameters: Iterable[Tensor],
    config: TrainerConfig,
    device: torch.device,
    *,
    rate: float = 1.0,
    betas: tuple[float, float] = (0.9, 0.999),
) -> torch.optim.Optimizer:
    """Adam, or AdamW where there is a weight decay.

    Args:
        parameters: to move.
        config: learning rate and weight decay.
        device: of the parameters.
        rate: learning rate as a multiple of the config's.
        betas: of the averages of gradients and of their squares.
    """
    # Fused: one pass over weights, gradients and moments in place of a dozen.
    fused = device.type in ("cpu", "cuda")
    learning_rate = config.learning_rate * rate
    if config.weight_decay:
        decay = config.weight_decay
        return torch.optim.AdamW(parameters, lr=learning_rate, betas=betas, weight_decay=decay, fused=fused)
    return torch.optim.Adam(parameters, lr=learning_rate, betas=betas, fused=fused)

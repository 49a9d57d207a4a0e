"""Noise in a network, against answers that a small change of its input would change."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


class GaussianNoise(nn.Module):
    """x + std * noise in training, x at rest."""

    def __init__(self, std: float) -> None:
        super().__init__()
        if not (math.isfinite(std) and std >= 0):
            raise ValueError(f"noise: expected a finite number of at least 0, got {std}")
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, torch.randn_like(x), alpha=self.std) if self.training and self.std else x

    def extra_repr(self) -> str:
        return f"std={self.std}"


def with_noise(layers: Iterable[nn.Module], std: float) -> list[nn.Module]:
    """The layers, each after a ``GaussianNoise`` of its own."""
    return [part for layer in layers for part in (GaussianNoise(std), layer)]

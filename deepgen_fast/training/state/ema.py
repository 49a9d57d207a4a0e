"""Exponential moving average of the weights (Polyak averaging)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class ExponentialMovingAverage:
    """average <- decay * average + (1 - decay) * weights after every step, in one call for all parameters.

    The decay of step k is ``min(decay, (1 + k) / (10 + k))``, which lets the average leave its random start
    early in training.

    Args:
        model: whose parameters to follow.
        decay: of the average; 0.999 averages over about the last thousand steps.
        tensors: what to follow in place of all parameters, under their names in the model's ``state_dict``; floating
            buffers may be among them.
    """

    def __init__(self, model: nn.Module, decay: float, tensors: Mapping[str, Tensor] | None = None) -> None:
        if not 0.0 < decay < 1.0:
            raise ValueError(f"decay: expected a number between 0 and 1, got {decay}")
        self.decay = decay
        followed: Mapping[str, Tensor] = dict(model.named_parameters()) if tensors is None else tensors
        self._names = list(followed)
        self._parameters: list[Tensor] = list(followed.values())
        self._averages = [parameter.detach().clone() for parameter in self._parameters]

    def decay_at(self, step: int) -> float:
        """Decay after optimizer step ``step``, counted from 0."""
        return min(self.decay, (1.0 + step) / (10.0 + step))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Follow the weights after optimizer step ``step``."""
        torch._foreach_lerp_(self._averages, self._parameters, 1.0 - self.decay_at(step))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within this, the model has the averaged weights. Swaps storage, copies nothing."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for index, parameter in enumerate(self._parameters):
            parameter.data, self._averages[index] = self._averages[index], parameter.data

    def state_dict(self) -> dict[str, Tensor]:
        """The averages by parameter name."""
        return dict(zip(self._names, self._averages, strict=True))

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over averages.

        Raises:
            ValueError: when the names are not those that are followed.
        """
        if set(state) != set(self._names):
            missing = sorted(set(self._names) ^ set(state))
            raise ValueError(f"state: averages and parameters differ in {', '.join(missing)}")
        for name, average in zip(self._names, self._averages, strict=True):
            average.copy_(state[name])

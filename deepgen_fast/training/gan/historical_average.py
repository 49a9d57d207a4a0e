"""Historical averaging: parameters are drawn towards the mean of all that they have been."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


class HistoricalAverage:
    """The cost weight * ||theta - (1/t) sum_i theta[i]||^2 of a player (Salimans et al. 2016, section 3.3).

    theta[1], ..., theta[t] are the parameters before each of its steps so far, the coming one included, and their mean
    is taken as given: the gradient is 2 weight (theta - mean).

    Args:
        parameters: of the player, at the start.
        weight: of the cost.
    """

    def __init__(self, parameters: Sequence[Tensor], weight: float) -> None:
        self._parameters = list(parameters)
        self._weight = weight
        self._means = [parameter.detach().clone() for parameter in self._parameters]
        self._count = 1

    @torch.no_grad()
    def add_gradients(self) -> None:
        """Add the cost's gradient to those that the parameters have."""
        moved = [(p.grad, p, mean) for p, mean in zip(self._parameters, self._means, strict=True) if p.grad is not None]
        if moved:
            grads, parameters, means = zip(*moved, strict=True)
            torch._foreach_add_(grads, torch._foreach_sub(parameters, means), alpha=2.0 * self._weight)

    @torch.no_grad()
    def update(self) -> None:
        """Count the parameters as they are now in."""
        self._count += 1
        torch._foreach_lerp_(self._means, self._parameters, 1.0 / self._count)

    def state_dict(self) -> dict[str, Tensor]:
        """The means by number, and the count."""
        means = {str(index): mean for index, mean in enumerate(self._means)}
        return {**means, "count": torch.tensor(self._count)}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over means and count.

        Raises:
            ValueError: when they are not those of as many parameters.
        """
        if set(state) != set(self.state_dict()):
            raise ValueError("the run kept no historical average of these parameters, but historical_averaging is set")
        for index, mean in enumerate(self._means):
            mean.copy_(state[str(index)])
        self._count = int(state["count"])

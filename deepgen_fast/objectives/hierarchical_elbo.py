"""The bound of models with several stochastic layers."""

from __future__ import annotations

from typing import Any

import torch

from deepgen_fast.example import Example, event_of
from deepgen_fast.objectives.elbo import ELBO, Loss


class HierarchicalELBO(ELBO):
    """Negative evidence lower bound, -E_q[log p(x|z)] + beta sum_l KL(q(z_l|x) || p(z_l)): the free energy.

    Args:
        beta: weight of the KLs; 1 gives the bound itself.
        warmup_steps: optimizer steps over which the weight rises from 0, against layers that die early.
        free_bits: nats that each stochastic layer may use before it costs anything, on the batch's mean.
        num_samples: samples of z an example; one if unset.

    Raises:
        ValueError: as ``ELBO``.

    Source: Rezende, Mohamed, Wierstra, "Stochastic backpropagation and approximate inference in deep generative
    models", 2014.
    """

    def __init__(
        self, beta: float = 1.0, warmup_steps: int = 0, free_bits: float = 0.0, num_samples: int | None = None
    ) -> None:
        super().__init__(beta, warmup_steps, free_bits, num_samples)

    def for_validation(self) -> HierarchicalELBO:
        """The bound itself, as ``ELBO.for_validation``."""
        return HierarchicalELBO(num_samples=self.num_samples)

    def __call__(
        self, model: Any, x: Example, step: int | None = None, generator: torch.Generator | None = None
    ) -> Loss:
        """Loss of ``model``, a ``DeepLatentGaussianModel`` or anything called like one; arguments as in ``ELBO``."""
        output = model(x, num_samples=self.num_samples, generator=generator)
        log_likelihood = model.likelihood.log_likelihood(output.decoder_output, event_of(x), reduction="sample")
        if self.num_samples is not None:
            log_likelihood = log_likelihood.mean(0)
        layers = output.kl_by_layer.mean(0)
        cost = layers.clamp(min=self.free_bits) if self.free_bits else layers
        value = self.beta_at(step) * cost.sum() - log_likelihood.mean()
        return Loss(value, log_likelihood.detach(), output.kl.detach())

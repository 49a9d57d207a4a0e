"""Objectives of a VAE: the evidence lower bound (13.21-13.24) and the importance-weighted bound."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

import deepgen_fast as dgf
from deepgen_fast.example import Example, event_of
from deepgen_fast.objectives.weights import check_weights


class Loss(NamedTuple):
    """What one evaluation of an objective gives.

    Attributes:
        value: scalar to minimize, with gradient; mean over the batch of per-example sums, nats.
        log_likelihood: ``[B]``, E_q[log p(x|z)] by the samples drawn, detached.
        kl: ``[B]``, KL(q(z|x) || p(z)), detached; without beta, warm-up or free bits.
    """

    value: Tensor
    log_likelihood: Tensor
    kl: Tensor


class Objective(Protocol):
    """A loss of a model on a batch.

    The batch is handed on to the model as it comes: a tensor, or a tuple with labels or whatever else the model takes.
    """

    def __call__(
        self, model: Any, x: Example, step: int | None = None, generator: torch.Generator | None = None
    ) -> Loss: ...

    def beta_at(self, step: int | None) -> float: ...

    def for_validation(self) -> Objective: ...


class ELBO:
    """Negative evidence lower bound, -E_q[log p(x|z)] + beta KL(q(z|x) || p(z)) (13.21-13.24).

    Args:
        beta: weight of the KL (Higgins et al. 2017). 1 gives the bound itself.
        warmup_steps: optimizer steps over which the weight rises linearly from 0 to ``beta`` (Bowman et al.
            2015); 0 for none. At step k the weight is ``beta * min(1, k / warmup_steps)``.
        free_bits: nats that each latent dimension may use before it costs anything, on the batch's mean
            (Kingma et al. 2016, equation 15).
        num_samples: M samples of z an example (13.22-13.23); None for one (13.24).

    Raises:
        ValueError: for a negative or non-finite beta or free_bits, negative warmup_steps, or num_samples
            below 1.
    """

    def __init__(
        self, beta: float = 1.0, warmup_steps: int = 0, free_bits: float = 0.0, num_samples: int | None = None
    ) -> None:
        check_weights(beta=beta, free_bits=free_bits)
        if warmup_steps < 0:
            raise ValueError(f"warmup_steps: expected 0 or more, got {warmup_steps}")
        if num_samples is not None and num_samples < 1:
            raise ValueError(f"num_samples: expected at least 1 or None, got {num_samples}")
        self.beta = beta
        self.warmup_steps = warmup_steps
        self.free_bits = free_bits
        self.num_samples = num_samples

    def beta_at(self, step: int | None) -> float:
        """Weight of the KL at optimizer step ``step``, counted from 0; the full weight for None."""
        if step is None or step >= self.warmup_steps:
            return self.beta
        return self.beta * step / self.warmup_steps

    def for_validation(self) -> ELBO:
        """The bound itself, beta 1 and no free bits: comparable between epochs, settings and papers."""
        return ELBO(num_samples=self.num_samples)

    def __call__(
        self, model: Any, x: Example, step: int | None = None, generator: torch.Generator | None = None
    ) -> Loss:
        """Loss of ``model`` on ``x``.

        Args:
            model: a ``VAE``, or anything called like one that has its ``likelihood``.
            x: what the model is called with: ``[B, *event]``, or a tuple that begins with it.
            step: optimizer step, for the warm-up; None for the full beta.
            generator: decides the noise; torch's default generator when None.
        """
        made = model(x, num_samples=self.num_samples, generator=generator)
        output, likelihood_logvar = model.likelihood.split(made.decoder_output)
        value, log_likelihood, kl = dgf.negative_elbo(
            output,
            event_of(x),
            made.posterior.mean,
            **made.posterior.kwargs(),
            likelihood=model.likelihood.kind,
            likelihood_logvar=likelihood_logvar,
            beta=self.beta_at(step),
            free_bits=self.free_bits,
            return_parts=True,
        )
        return Loss(value, log_likelihood, kl)


class ImportanceWeightedBound:
    """Negative importance-weighted bound, -E[log 1/M sum_m p(x, z_m) / q(z_m|x)] (Burda et al. 2016).

    For M = 1 it is the ELBO with a sampled KL; it tightens towards log p(x) as M grows.

    The log-weights come from the noise itself (see ``Posterior.log_ratio``), and the gradient is that of the
    reparameterized bound.

    Args:
        num_samples: M.

    Raises:
        ValueError: for num_samples below 1.
    """

    def __init__(self, num_samples: int) -> None:
        if num_samples < 1:
            raise ValueError(f"num_samples: expected at least 1, got {num_samples}")
        self.num_samples = num_samples

    def beta_at(self, step: int | None) -> float:
        """1: the bound has no weight on the KL."""
        return 1.0

    def for_validation(self) -> ImportanceWeightedBound:
        """The objective itself."""
        return self

    def log_weights(
        self, model: Any, x: Example, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """``(log w [M, B], log p(x|z) [M, B], kl [B])``, log w = log p(x|z) + log p(z) - log q(z|x)."""
        target = event_of(x)
        zeros = target.new_zeros(target.shape[0], model.latent_dim)
        noise, _ = dgf.reparameterize_kl(zeros, zeros, num_samples=self.num_samples, generator=generator)
        made = model(x, num_samples=self.num_samples, noise=noise)
        # From here on eps is what made z, rounded to the posterior's dtype (bfloat16 under autocast).
        noise = noise.to(made.posterior.mean.dtype)
        log_likelihood = model.likelihood.log_likelihood(made.decoder_output, target, reduction="sample")
        log_ratio = made.posterior.log_ratio(made.z, noise, log_likelihood.dtype)
        return log_likelihood + log_ratio, log_likelihood, made.kl

    def __call__(
        self, model: Any, x: Example, step: int | None = None, generator: torch.Generator | None = None
    ) -> Loss:
        """Loss of ``model`` on ``x``; arguments as in ``ELBO``, ``step`` unused."""
        log_weight, log_likelihood, kl = self.log_weights(model, x, generator)
        bound = torch.logsumexp(log_weight, dim=0) - math.log(self.num_samples)
        return Loss(-bound.mean(), log_likelihood.detach().mean(0), kl.detach())

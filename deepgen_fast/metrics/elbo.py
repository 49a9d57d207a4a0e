"""The evidence lower bound on held-out data, split into its two terms."""

from __future__ import annotations

from typing import NamedTuple

import torch

from deepgen_fast.metrics.evaluation import Examples, check_positive, device_of, evaluation_mode, model_batches
from deepgen_fast.models.vae import VAE


class ElboEvaluation(NamedTuple):
    """Averages over the data, in nats an example: elbo = log_likelihood - kl.

    log_likelihood is the reconstruction term E_q[log p(x|z)]; standard_error is that of elbo as an estimate
    of the mean over the population (the spread between examples, divided by sqrt(num_examples)).
    """

    elbo: float
    log_likelihood: float
    kl: float
    standard_error: float
    num_examples: int


def evaluate_elbo(
    model: VAE, x: Examples, *, batch_size: int = 512, num_samples: int = 1, seed: int = 0
) -> ElboEvaluation:
    """Mean ELBO of x under a VAE, split into reconstruction and KL (equations 13.21 to 13.24).

    Args:
        model: a VAE, or another model with its `encode` and `log_likelihood`; evaluated in eval mode without
            gradients, and left in the mode it was in.
        x: `[N, *event]`, or an iterable of batches such as a DataLoader; with labels where the model takes them, and
            then p(x) is p(x|y) everywhere.
        batch_size: examples a forward pass, for a tensor x. Bounds the memory; 512 keeps matrix products
            efficient.
        num_samples: samples M of z an example (13.23). One is unbiased, and over a test set precise enough:
            its noise averages out over the examples.
        seed: decides the noise; the same seed, data and batch_size give the same value. The global random
            state is neither read nor changed.

    Returns:
        Averages in nats an example, accumulated in float64. beta and free bits do not enter: this is the
        bound on log p(x), comparable between models however they were trained.

    Raises:
        ValueError: x holds no example, or batch_size or num_samples is below 1.
    """
    check_positive("batch_size", batch_size)
    check_positive("num_samples", num_samples)
    device = device_of(model)
    generator = torch.Generator(device).manual_seed(seed)
    log_likelihoods, kls = [], []
    with evaluation_mode(model):
        for batch in model_batches(model, x, batch_size, device):
            z, kl = model.encode(batch).draw(num_samples, generator=generator)
            log_likelihoods.append(model.log_likelihood(z, batch).double().mean(0))
            kls.append(kl.double())
    log_likelihood, kl = torch.cat(log_likelihoods), torch.cat(kls)
    elbo = log_likelihood - kl
    num_examples = elbo.numel()
    spread = elbo.std().item() if num_examples > 1 else float("nan")
    return ElboEvaluation(
        elbo=elbo.mean().item(),
        log_likelihood=log_likelihood.mean().item(),
        kl=kl.mean().item(),
        standard_error=spread / num_examples**0.5,
        num_examples=num_examples,
    )

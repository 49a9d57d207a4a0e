"""Importance-weighted estimate of log p(x) (Burda, Grosse, Salakhutdinov 2016, section 5)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

import deepgen_fast as dgf
from deepgen_fast.example import Example, event_of, rows_of
from deepgen_fast.metrics.evaluation import check_positive, device_of, evaluation_mode, model_batches
from deepgen_fast.models.posterior import Posterior
from deepgen_fast.models.vae import VAE


def importance_weighted_log_likelihood(
    model: VAE,
    x: Example,
    num_samples: int = 5000,
    *,
    chunk_size: int = 2500,
    encoder_batch_size: int = 512,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Tensor:
    """Estimate log p(x) = log 1/K sum_k p(x|z_k) p(z_k) / q(z_k|x), z_k ~ q(z|x), of every example.

    In expectation a lower bound on log p(x) that rises with num_samples towards it, and never below the
    ELBO (num_samples=1 in expectation); exact for any number of samples where q(z|x) is the true posterior.

    Memory: the decoder sees at most chunk_size rows at a time, so the largest tensors have
    `chunk_size * width` elements, width the decoder's widest layer (784 pixels and the default of 2,500: 8
    MB a tensor in float32), whatever num_samples and the number of examples. Beside these stand the noise,
    `max(num_samples, chunk_size) * latent_dim` elements, the posteriors, `2 * N * latent_dim`, and the
    result.

    Precision: decoder and noise run in the model's dtype; log-weights and their running log-sum-exp in
    float64. log q(z|x) comes from the noise that made z, not from z - mean, which would lose digits where
    |mean| >> std.

    Args:
        model: a VAE with prior N(0, I), or another model with its `encode` and `log_likelihood`; evaluated in eval
            mode without gradients, and left in the mode it was in.
        x: `[N, *event]`, or the pair of it and labels `[N]` for a model that takes them, and then p(x) is p(x|y)
            everywhere.
        num_samples: samples K an example; 5,000 is the literature's habit.
        chunk_size: rows a decoder pass. It decides memory and speed; the result depends on it by rounding
            alone, because the noise of an example depends on nothing but the seed, the example's index and
            the sample.
        encoder_batch_size: examples an encoder pass.
        seed: decides the noise. The global random state is neither read nor changed.
        progress: called with (examples finished, N) as the work advances.

    Returns:
        `[N]` float64, nats, on the model's device.

    Raises:
        ValueError: x holds no example, or a size is below 1.
    """
    check_positive("num_samples", num_samples)
    check_positive("chunk_size", chunk_size)
    check_positive("encoder_batch_size", encoder_batch_size)
    shape = event_of(x).shape
    if len(shape) < 2 or shape[0] == 0:
        raise ValueError(f"x: expected at least one example, shape [N, *event], got {tuple(shape)}")
    device = device_of(model)
    generator = torch.Generator(device).manual_seed(seed)
    # With few samples several examples share a decoder pass, with many one example takes several passes.
    group_size = max(1, chunk_size // num_samples)
    estimates: list[Tensor] = []
    finished = 0
    with evaluation_mode(model):
        for batch in model_batches(model, x, encoder_batch_size, device):
            posterior = model.encode(batch)
            for first in range(0, len(event_of(batch)), group_size):
                group = slice(first, first + group_size)
                part = posterior.rows(group)
                estimates.append(_estimate(model, rows_of(batch, group), part, num_samples, chunk_size, generator))
                finished += len(estimates[-1])
                if progress is not None:
                    progress(finished, shape[0])
    return torch.cat(estimates)


def _estimate(
    model: VAE, x: Example, posterior: Posterior, num_samples: int, chunk_size: int, generator: torch.Generator
) -> Tensor:
    """Estimates `[g]` of a group of examples `[g, *event]`, posterior `[g, latent_dim]`."""
    mean = posterior.mean
    noise = torch.stack([_standard_normal(mean[0], num_samples, generator) for _ in range(len(mean))], dim=1)
    total = torch.full((len(mean),), -math.inf, dtype=torch.float64, device=mean.device)
    for eps in noise.split(max(1, chunk_size // len(mean))):
        z, _ = posterior.draw(eps.shape[0], noise=eps)
        log_weight = model.log_likelihood(z, x).double() + posterior.log_ratio(z, eps, torch.float64)
        total = torch.logaddexp(total, torch.logsumexp(log_weight, dim=0))
    return total - math.log(num_samples)


def _standard_normal(like: Tensor, num_samples: int, generator: torch.Generator) -> Tensor:
    """Noise `[num_samples, latent_dim]` of one example, the op's own kernel at mean 0 and std 1.

    One draw an example, samples as rows: so neither the group nor the chunk enters the noise.
    """
    zeros = torch.zeros_like(like).expand(num_samples, -1)
    noise, _ = dgf.reparameterize_kl(zeros, std=torch.ones_like(like).expand(num_samples, -1), generator=generator)
    return noise

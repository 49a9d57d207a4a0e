"""What the latent code uses: posterior means of a data set, and how many units carry information."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from deepgen_fast.metrics.evaluation import Examples, check_positive, device_of, evaluation_mode, model_batches
from deepgen_fast.models.vae import VAE


def latent_means(model: VAE, x: Examples, *, batch_size: int = 512) -> Tensor:
    """E[z|x] `[N, latent_dim]` of every example, on the model's device: the points of Figure 13.5 (a).

    Args:
        model: a VAE; evaluated in eval mode without gradients, and left in the mode it was in.
        x: `[N, *event]`, or an iterable of batches such as a DataLoader.
        batch_size: examples an encoder pass, for a tensor x.
    """
    check_positive("batch_size", batch_size)
    with evaluation_mode(model):
        return torch.cat([model.encode(batch).mean for batch in model_batches(model, x, batch_size, device_of(model))])


@dataclass(frozen=True)
class ActiveUnits:
    """count units have a variance `[latent_dim]` (float64) of their posterior mean above threshold."""

    count: int
    variances: Tensor
    threshold: float


def active_units(model: VAE, x: Examples, *, threshold: float = 0.01, batch_size: int = 512) -> ActiveUnits:
    """Latent units whose posterior mean moves with x: Var_x(E[z_j|x]) > threshold.

    Equation 6 of Burda, Grosse and Salakhutdinov 2016. A unit that the decoder ignores collapses to the
    prior and has variance 0; used units lie near 1, so the count hardly depends on the threshold: 0.01 is
    theirs.

    Args:
        model: a VAE; evaluated in eval mode without gradients, and left in the mode it was in.
        x: `[N, *event]` with N >= 2, or an iterable of batches such as a DataLoader.
        threshold: variance from which a unit counts as active.
        batch_size: examples an encoder pass, for a tensor x.

    Raises:
        ValueError: x holds fewer than two examples, or threshold is negative.
    """
    if threshold < 0:
        raise ValueError(f"threshold: expected a variance of at least 0, got {threshold}")
    means = latent_means(model, x, batch_size=batch_size)
    if means.shape[0] < 2:
        raise ValueError(f"x: expected at least two examples for a variance, got {means.shape[0]}")
    variances = means.double().var(dim=0)
    return ActiveUnits(int((variances > threshold).sum()), variances, threshold)

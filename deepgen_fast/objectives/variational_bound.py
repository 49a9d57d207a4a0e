"""A VAE's objective by the name of its bound."""

from __future__ import annotations

from typing import Literal

from deepgen_fast.objectives.elbo import ELBO, ImportanceWeightedBound, Objective


def variational_bound(
    kind: Literal["elbo", "importance_weighted"] = "elbo",
    beta: float = 1.0,
    warmup_steps: int = 0,
    free_bits: float = 0.0,
    num_samples: int | None = None,
) -> Objective:
    """The ELBO or the importance-weighted bound on log p(x).

    Args:
        kind: bound that is maximized: elbo, or importance_weighted (tighter; needs num_samples).
        beta: weight of the KL of the elbo. 1 is the bound on log p(x); more gives simpler codes.
        warmup_steps: steps over which beta rises linearly from 0, against latents that die early.
        free_bits: KL per latent dimension that is not penalized, in nats.
        num_samples: samples of z per example, 1 if unset. One is enough for the elbo: the batch averages its noise.

    Raises:
        ValueError: for an unknown kind, a field out of its range, or one that the kind does not have.
    """
    if kind == "elbo":
        return ELBO(beta, warmup_steps, free_bits, num_samples)
    if kind != "importance_weighted":
        raise ValueError(f"kind: expected 'elbo' or 'importance_weighted', got {kind!r}")
    if num_samples is None:
        raise ValueError("num_samples: the importance-weighted bound needs it, such as 50")
    if beta != 1.0 or warmup_steps or free_bits:
        raise ValueError("beta, warmup_steps and free_bits belong to kind='elbo'")
    return ImportanceWeightedBound(num_samples)

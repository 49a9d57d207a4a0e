"""Training objectives."""

from __future__ import annotations

from typing import Any

from deepgen_fast.objectives.elbo import ELBO, ImportanceWeightedBound, Loss, Objective

__all__ = ["ELBO", "ImportanceWeightedBound", "Loss", "Objective", "build_objective"]


def build_objective(config: Any) -> Objective:
    """The objective that an ``ObjectiveConfig`` describes.

    Raises:
        ValueError: for an unknown kind, or a field out of its range.
    """
    if config.kind == "elbo":
        return ELBO(config.beta, config.warmup_steps, config.free_bits, config.num_samples)
    if config.kind == "importance_weighted":
        return ImportanceWeightedBound(config.num_samples or 1)
    raise ValueError(f"kind: expected 'elbo' or 'importance_weighted', got {config.kind!r}")

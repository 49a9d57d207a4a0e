"""Evaluation of trained models: bounds on log p(x), and the use of the latent code."""

from deepgen_fast.metrics.bits import bits_per_dimension
from deepgen_fast.metrics.elbo import ElboEvaluation, evaluate_elbo
from deepgen_fast.metrics.importance import importance_weighted_log_likelihood
from deepgen_fast.metrics.latents import ActiveUnits, active_units, latent_means

__all__ = [
    "ActiveUnits",
    "ElboEvaluation",
    "active_units",
    "bits_per_dimension",
    "evaluate_elbo",
    "importance_weighted_log_likelihood",
    "latent_means",
]

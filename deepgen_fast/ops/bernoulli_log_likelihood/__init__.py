"""Fused Bernoulli log-likelihood from logits."""

from deepgen_fast.ops.bernoulli_log_likelihood.function import bernoulli_log_likelihood

__all__ = ["bernoulli_log_likelihood"]

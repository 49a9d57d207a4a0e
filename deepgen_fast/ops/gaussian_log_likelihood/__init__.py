"""Fused Gaussian log-likelihood."""

from deepgen_fast.ops.gaussian_log_likelihood.function import gaussian_log_likelihood

__all__ = ["gaussian_log_likelihood"]

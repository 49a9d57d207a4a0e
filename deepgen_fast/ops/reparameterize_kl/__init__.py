"""Fused reparameterization and KL divergence of a diagonal Gaussian posterior."""

from deepgen_fast.ops.reparameterize_kl.function import reparameterize_kl

__all__ = ["reparameterize_kl"]

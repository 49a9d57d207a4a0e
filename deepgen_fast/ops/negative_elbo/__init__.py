"""The whole VAE loss in one pass."""

from deepgen_fast.ops.negative_elbo.function import NegativeELBO, negative_elbo

__all__ = ["NegativeELBO", "negative_elbo"]

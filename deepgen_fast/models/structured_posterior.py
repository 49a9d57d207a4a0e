"""Posteriors of deep latent Gaussian models: rank-1 corrections of a diagonal precision, and one posterior a layer."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

import deepgen_fast as dgf
from deepgen_fast.models.posterior import Posterior
from deepgen_fast.ops.rows import accumulation_dtype


class RankOnePosterior(NamedTuple):
    """q(z|x) = N(mean, C) with C^-1 = D + u u', D diagonal: correlations along one direction, for a diagonal's cost.

    With s = u' D^-1 u and eta = 1 / (1 + s) (Rezende et al. 2014, covariance parameterization; by the matrix inversion
    and determinant lemmas):

        C = D^-1 - eta D^-1 u u' D^-1        log |C| = log eta - log |D|
        R = D^-1/2 - (1 - sqrt(eta)) / s  D^-1 u u' D^-1/2        R R' = C

    so nothing larger than a vector is ever formed, and z = mean + R eps.

    ``mean``, ``logvar`` (log of the diagonal of D^-1, so that at u = 0 it is a diagonal posterior's) and ``factor`` (u)
    are ``[B, n]``.
    """

    mean: Tensor
    logvar: Tensor
    factor: Tensor

    def draw(
        self, num_samples: int | None = None, noise: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """z = mean + R eps, ``[(M,)B, n]``, and KL(q(z|x) || N(0, I)), ``[B]``; arguments as ``Posterior.draw``.

        KL = 1/2 (tr C - log |C| + mean' mean - n).
        """
        if noise is None:
            with torch.no_grad():  # by the operator, at mean 0 and variance 1: the same noise wherever it runs
                zeros = torch.zeros_like(self.mean)
                noise, _ = dgf.reparameterize_kl(zeros, zeros, num_samples=num_samples, generator=generator)
        mean, wide = self.mean, self._wide(accumulation_dtype(self.mean.dtype))
        scaled, s = wide._correction()
        eta = 1.0 / (1.0 + s)
        shape = torch.exp(0.5 * wide.logvar) * noise.to(wide.mean.dtype)
        # (1 - sqrt(eta)) / s without the difference of near numbers, and for s = 0.
        shift = eta / (1.0 + eta.sqrt()) * (wide.factor * shape).sum(-1, keepdim=True)
        z = wide.mean + shape - shift * scaled
        trace = (wide.logvar.exp() - eta * scaled.square()).sum(-1)
        kl = 0.5 * (trace - wide.log_determinant() + wide.mean.square().sum(-1) - mean.shape[-1])
        return z.to(mean.dtype), kl

    def _correction(self) -> tuple[Tensor, Tensor]:
        """D^-1 u ``[B, n]``, and s ``[B, 1]``."""
        scaled = self.logvar.exp() * self.factor
        return scaled, (self.factor * scaled).sum(-1, keepdim=True)

    def log_determinant(self) -> Tensor:
        """log |C|, ``[B]``."""
        _, s = self._correction()
        return self.logvar.sum(-1) - torch.log1p(s).squeeze(-1)

    def covariance(self) -> Tensor:
        """C itself, ``[B, n, n]``; for looking at, nothing here needs it."""
        scaled, s = self._correction()
        return torch.diag_embed(self.logvar.exp()) - scaled.unsqueeze(-1) * scaled.unsqueeze(-2) / (
            1.0 + s.unsqueeze(-1)
        )

    def log_ratio(self, z: Tensor, noise: Tensor, dtype: torch.dtype) -> Tensor:
        """log p(z) - log q(z|x), ``[(M,)B]``; as ``Posterior.log_ratio``, with log q(z|x) = -1/2 (eps' eps + log |C| +
        n log 2 pi)."""
        squares = (noise.to(dtype).square() - z.to(dtype).square()).sum(-1)
        return 0.5 * (squares + self._wide(dtype).log_determinant())

    def _wide(self, dtype: torch.dtype) -> RankOnePosterior:
        return RankOnePosterior(*(part.to(dtype) for part in self))

    def rows(self, rows: slice) -> RankOnePosterior:
        """That of some of the examples."""
        return RankOnePosterior(*(part[rows] for part in self))


LayerPosterior: TypeAlias = Posterior | RankOnePosterior


class LayeredPosterior(NamedTuple):
    """q(z|x) = prod_l q(z_l|x) over stochastic layers; z is theirs side by side, the first nearest to the data."""

    layers: tuple[LayerPosterior, ...]

    @property
    def mean(self) -> Tensor:
        """E[z|x], ``[B, sum of the layers']``."""
        return torch.cat([layer.mean for layer in self.layers], -1)

    def _split(self, z: Tensor) -> tuple[Tensor, ...]:
        return z.split([layer.mean.shape[-1] for layer in self.layers], -1)

    def draw_layers(
        self, num_samples: int | None = None, noise: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """z ``[(M,)B, latent_dim]``, and the KL of each layer, ``[B, L]``; arguments as ``Posterior.draw``."""
        parts = [None] * len(self.layers) if noise is None else self._split(noise)
        drawn = [layer.draw(num_samples, part, generator) for layer, part in zip(self.layers, parts, strict=True)]
        return torch.cat([z for z, _ in drawn], -1), torch.stack([kl for _, kl in drawn], -1)

    def draw(
        self, num_samples: int | None = None, noise: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """z ``[(M,)B, latent_dim]``, and KL(q(z|x) || N(0, I)), ``[B]``."""
        z, kl = self.draw_layers(num_samples, noise, generator)
        return z, kl.sum(-1)

    def log_ratio(self, z: Tensor, noise: Tensor, dtype: torch.dtype) -> Tensor:
        """log p(z) - log q(z|x), ``[(M,)B]``; as ``Posterior.log_ratio``."""
        parts = zip(self.layers, self._split(z), self._split(noise), strict=True)
        return torch.stack([layer.log_ratio(part, eps, dtype) for layer, part, eps in parts]).sum(0)

    def rows(self, rows: slice) -> LayeredPosterior:
        """That of some of the examples."""
        return LayeredPosterior(tuple(layer.rows(rows) for layer in self.layers))

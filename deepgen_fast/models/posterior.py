"""The approximate posterior of a VAE's latent variables, as its encoder states it."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

import deepgen_fast as dgf
from deepgen_fast.ops.softplus import log_softplus, softplus


class Posterior(NamedTuple):
    """q(z|x) = N(mean, diag(sigma^2)) (13.6), as the encoder states it.

    ``mean`` and ``scale`` are ``[B, latent_dim]``; ``form`` says what the scale is: ``"logvar"``, ``"std"``
    or ``"pre_softplus"`` (sigma = softplus(scale)).
    """

    mean: Tensor
    scale: Tensor
    form: str

    def kwargs(self) -> dict[str, Any]:
        """The scale as the keyword of ``reparameterize_kl`` and ``negative_elbo`` that names its form."""
        return {self.form: self.scale}

    def std(self) -> Tensor:
        """sigma, ``[B, latent_dim]``."""
        if self.form == "logvar":
            return torch.exp(0.5 * self.scale)
        return self.scale if self.form == "std" else softplus(self.scale)

    def log_variance(self) -> Tensor:
        """log sigma^2, ``[B, latent_dim]``."""
        if self.form == "logvar":
            return self.scale
        if self.form == "std":
            return 2.0 * torch.log(self.scale)
        return 2.0 * log_softplus(self.scale)

    def draw(
        self, num_samples: int | None = None, noise: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """z = mean + sigma * eps (13.27), ``[(M,)B, latent_dim]``, and KL(q(z|x) || N(0, I)), ``[B]``.

        Args:
            num_samples: M; None for one without the leading dimension.
            noise: eps itself, of z's shape, in place of a draw; rounded to the dtype of ``mean``.
            generator: decides the noise; torch's default generator when None.
        """
        noise = None if noise is None else noise.to(self.mean.dtype)
        return dgf.reparameterize_kl(
            self.mean, **self.kwargs(), num_samples=num_samples, noise=noise, generator=generator
        )

    def log_ratio(self, z: Tensor, noise: Tensor, dtype: torch.dtype) -> Tensor:
        """log p(z) - log q(z|x), ``[(M,)B]`` in ``dtype``, of the prior N(0, I) and the ``noise`` that made ``z``.

        log q(z|x) is -1/2 sum(eps^2 + log sigma^2 + log 2 pi): nothing is lost where |mean| >> sigma, as would be in
        z - mean. The two log 2 pi cancel.
        """
        wide = Posterior(self.mean, self.scale.to(dtype), self.form)
        return 0.5 * (noise.to(dtype).square() - z.to(dtype).square() + wide.log_variance()).sum(-1)

    def rows(self, rows: slice) -> Posterior:
        """That of some of the examples."""
        return Posterior(self.mean[rows], self.scale[rows], self.form)

"""The approximate posterior of a VAE's latent variables, as its encoder states it."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


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
        return self.scale if self.form == "std" else F.softplus(self.scale)

    def log_variance(self) -> Tensor:
        """log sigma^2, ``[B, latent_dim]``."""
        if self.form == "logvar":
            return self.scale
        if self.form == "std":
            return 2.0 * torch.log(self.scale)
        # softplus underflows below about -104 in float32, where log(softplus(p)) is p to the last digit.
        low = self.scale < -20.0
        return 2.0 * torch.where(low, self.scale, torch.log(F.softplus(torch.where(low, 0.0, self.scale))))

"""A linear-Gaussian VAE, whose log p(x) is known: z ~ N(0, I), x|z ~ N(W z + b, s^2 I), so x ~ N(b, W W' +
s^2 I).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from deepgen_fast.models import VAE, GaussianLikelihood


class FixedEncoder(nn.Module):
    """q(z|x) with a linear mean and a log-variance of its own, neither that of the exact posterior."""

    def __init__(self, dim: int, latent_dim: int) -> None:
        super().__init__()
        self.mean = nn.Linear(dim, latent_dim)
        self.logvar = nn.Parameter(torch.zeros(latent_dim))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.mean(x)
        return mean, self.logvar.expand_as(mean)


def linear_gaussian_vae(dim: int = 5, latent_dim: int = 2, noise_std: float = 0.7) -> VAE:
    """Float64 model whose encoder is near the exact posterior: its mean off by a little, its sigma too
    wide.
    """
    generator = torch.Generator().manual_seed(7)
    weight = torch.randn(dim, latent_dim, generator=generator, dtype=torch.float64)
    encoder = FixedEncoder(dim, latent_dim)
    decoder = nn.Linear(latent_dim, dim)
    likelihood = GaussianLikelihood("shared", (dim,), initial_logvar=2 * math.log(noise_std))
    model = VAE(encoder, decoder, event_shape=(dim,), latent_dim=latent_dim, likelihood=likelihood).double()
    precision = torch.eye(latent_dim, dtype=torch.float64) + weight.T @ weight / noise_std**2
    gain = torch.linalg.solve(precision, weight.T) / noise_std**2
    with torch.no_grad():
        decoder.weight.copy_(weight)
        decoder.bias.copy_(torch.linspace(-1, 1, dim, dtype=torch.float64))
        encoder.mean.weight.copy_(gain)
        encoder.mean.bias.copy_(0.1 - gain @ decoder.bias)
        encoder.logvar.copy_(-torch.log(torch.diagonal(precision)) + 0.3)
    return model


def exact_log_likelihood(model: VAE, x: Tensor) -> Tensor:
    """log p(x) ``[B]`` of ``x [B, dim]`` in closed form."""
    weight, bias = model.decoder.weight, model.decoder.bias
    variance = torch.exp(model.likelihood.logvar)
    covariance = weight @ weight.T + variance * torch.eye(len(bias), dtype=weight.dtype)
    return torch.distributions.MultivariateNormal(bias, covariance).log_prob(x)

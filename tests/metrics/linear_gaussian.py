"""A VAE whose log p(x) and posterior are known in closed form: z ~ N(0, I), x|z ~ N(W z + b, s^2 I)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deepgen_fast.models.likelihoods import GaussianLikelihood
from deepgen_fast.models.vae import VAE


class ExactEncoder(nn.Module):
    """Mean and log-variance of p(z|x), exact where W has orthogonal columns; widen spreads q beyond p."""

    def __init__(self, weight: Tensor, bias: Tensor, widen: float) -> None:
        super().__init__()
        precision = 1.0 + weight.square().sum(0)  # unit noise variance; diagonal: the columns are orthogonal
        self.register_buffer("projection", weight / precision)
        self.register_buffer("bias", bias)
        self.register_buffer("logvar", -precision.log() + widen)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = (x - self.bias) @ self.projection
        return mean, self.logvar.expand_as(mean).contiguous()


def linear_gaussian_vae(
    dimension: int = 6, latent_dim: int = 2, widen: float = 0.0, dtype: torch.dtype = torch.float64
) -> tuple[VAE, torch.distributions.MultivariateNormal]:
    """The model and its exact marginal p(x) = N(b, W W' + I)."""
    generator = torch.Generator().manual_seed(1)
    orthogonal, _ = torch.linalg.qr(torch.randn(dimension, latent_dim, generator=generator, dtype=torch.float64))
    weight = orthogonal * torch.linspace(1.0, 2.0, latent_dim, dtype=torch.float64)
    bias = torch.randn(dimension, generator=generator, dtype=torch.float64)
    decoder = nn.Linear(latent_dim, dimension, dtype=torch.float64)
    with torch.no_grad():
        decoder.weight.copy_(weight)
        decoder.bias.copy_(bias)
    model = VAE(
        ExactEncoder(weight, bias, widen),
        decoder,
        event_shape=(dimension,),
        latent_dim=latent_dim,
        likelihood=GaussianLikelihood(variance="unit", event_shape=(dimension,)),
    )
    covariance = weight @ weight.T + torch.eye(dimension, dtype=torch.float64)
    marginal = torch.distributions.MultivariateNormal(bias, covariance)
    return model.to(dtype), marginal

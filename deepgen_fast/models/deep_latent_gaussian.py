"""The deep latent Gaussian model: several stochastic layers, with diagonal or rank-1 posterior precisions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from deepgen_fast.example import Example
from deepgen_fast.models.activations import build_activation
from deepgen_fast.models.event_shape import check_pixel_batch
from deepgen_fast.models.likelihoods import build_likelihood, check_event_shape, decoder_shape
from deepgen_fast.models.posterior import Posterior
from deepgen_fast.models.structured_posterior import LayeredPosterior, LayerPosterior, RankOnePosterior
from deepgen_fast.models.vae import VAE

Covariance = Literal["diagonal", "rank_one"]


class DeepLatentOutput(NamedTuple):
    """As ``VAEOutput``, with the KL of each layer, ``kl_by_layer [B, L]``, whose sum is ``kl``."""

    z: Tensor
    kl: Tensor
    decoder_output: Tensor
    posterior: LayeredPosterior
    kl_by_layer: Tensor


class GenerativeLayers(nn.Module):
    """h_L = G_L z_L, h_l = T_l(h_{l+1}) + G_l z_l, output T_0(h_1).

    Each T is a non-linearity and a linear map, each h ``hidden_dim`` wide, the G matrices but for a bias of the last.
    With one layer it is the decoder of the two-layer VAE.
    """

    def __init__(
        self, latent_dims: tuple[int, ...], hidden_dim: int, output_shape: tuple[int, ...], activation: nn.Module
    ) -> None:
        super().__init__()
        self.latent_dims = latent_dims
        self.activation = activation
        self.noise = nn.ModuleList(
            nn.Linear(size, hidden_dim, bias=layer == len(latent_dims)) for layer, size in enumerate(latent_dims, 1)
        )
        self.hidden = nn.ModuleList(nn.Linear(hidden_dim, hidden_dim) for _ in latent_dims[1:])
        self.output = nn.Linear(hidden_dim, math.prod(output_shape))
        self.output_shape = output_shape

    def forward(self, z: Tensor) -> Tensor:
        """``[N, *output_shape]`` for ``z [N, sum of latent_dims]``, the first layer's first."""
        parts = z.split(self.latent_dims, -1)
        h = self.noise[-1](parts[-1])
        for layer in reversed(range(len(parts) - 1)):
            h = self.hidden[layer](self.activation(h)) + self.noise[layer](parts[layer])
        return self.output(self.activation(h)).unflatten(-1, self.output_shape)


class RecognitionLayers(nn.Module):
    """A hidden layer a stochastic layer, the first on x, each on the one before; q(z_l|x) from the l-th."""

    def __init__(
        self, width: int, latent_dims: tuple[int, ...], hidden_dim: int, covariance: Covariance, activation: nn.Module
    ) -> None:
        super().__init__()
        self.activation = activation
        widths = (width, *(hidden_dim for _ in latent_dims[1:]))
        self.hidden = nn.ModuleList(nn.Linear(inputs, hidden_dim) for inputs in widths)
        self.parts = 3 if covariance == "rank_one" else 2
        self.posterior = nn.ModuleList(nn.Linear(hidden_dim, self.parts * size) for size in latent_dims)

    def forward(self, x: Tensor) -> LayeredPosterior:
        """q(z|x) for ``x [B, *event]``."""
        h, layers = x.flatten(1), list[LayerPosterior]()
        for hidden, head in zip(self.hidden, self.posterior, strict=True):
            h = self.activation(hidden(h))
            mean, logvar, *factor = head(h).chunk(self.parts, -1)
            layers.append(RankOnePosterior(mean, logvar, *factor) if factor else Posterior(mean, logvar, "logvar"))
        return LayeredPosterior(tuple(layers))


class DeepLatentGaussianModel(VAE):
    """z_1, ..., z_L ~ N(0, I) enter a deep generative network layer by layer (Rezende, Mohamed and Wierstra 2014).

    log p(x) >= E_q[log p(x|z)] - sum_l KL(q(z_l|x) || N(0, I)), the negative free energy, whose KLs are analytic. A
    latent is all layers side by side, ``[B, sum of latent_dims]``, the first nearest to the data: so it is sampled,
    evaluated and interpolated as a VAE is.

    Args:
        encoder: maps ``[B, *event_shape]`` to a ``LayeredPosterior``.
        decoder: maps ``[N, sum of latent_dims]`` to ``[N, *out]``.
        latent_dims: dimensions of the stochastic layers.
        options: of ``VAE``.

    Raises:
        ValueError: as ``VAE``.

    Left out of the paper: the Gaussian prior on the weights of the generative network, noise on the recognition
    network's inputs, and gradients by Hessians of log p(x|z): these are the reparameterized ones.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, *, latent_dims: Sequence[int], **options: Any) -> None:
        super().__init__(encoder, decoder, latent_dim=sum(latent_dims), **options)
        self.latent_dims = tuple(latent_dims)

    def encode(self, x: Tensor) -> Any:
        """q(z|x), a ``LayeredPosterior``, for ``x [B, *event_shape]``; errors as ``VAE.encode``."""
        return self.encoder(check_pixel_batch(x, self.event_shape))

    def forward(
        self,
        x: Example,
        num_samples: int | None = None,
        generator: torch.Generator | None = None,
        noise: Tensor | None = None,
    ) -> Any:
        """One pass, a ``DeepLatentOutput``; arguments as ``VAE.forward``."""
        posterior = self.encode(x)
        z, kl = posterior.draw_layers(num_samples, noise, generator)
        return DeepLatentOutput(z, kl.sum(-1), self.decode(z), posterior, kl)


def deep_latent_gaussian(
    event_shape: Sequence[int] = (1, 28, 28),
    hidden_dim: int = 512,
    latent_dims: Sequence[int] = (24, 8),
    covariance: Covariance = "rank_one",
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli",
    variance: Literal["unit", "shared", "per_pixel"] = "unit",
    activation: Literal["relu", "sigmoid", "tanh", "silu", "leaky_relu"] = "relu",
) -> DeepLatentGaussianModel:
    """A deep latent Gaussian model of fully connected layers, one hidden layer a stochastic layer each way.

    Args:
        event_shape: shape of one example; anything is flattened.
        hidden_dim: width of every hidden layer.
        latent_dims: sizes of the stochastic layers, the first nearest to the data. Most of what digits differ in is
            nearest to them: of 32 dimensions, 24 and 8 give a higher log p(x) than 16 and 16.
        covariance: covariance of each layer's posterior: diagonal, or rank_one, which adds correlations along one
            direction.
        likelihood: likelihood p(x|z).
        variance: variance of the Gaussian likelihood.
        activation: non-linearity.

    Raises:
        ValueError: naming the argument that is not one of the above.
    """
    sizes = tuple(latent_dims)
    if not sizes or any(size < 1 for size in sizes):
        raise ValueError(f"latent_dims: expected one or more positive integers, got {sizes}")
    if hidden_dim < 1:
        raise ValueError(f"hidden_dim: expected at least 1, got {hidden_dim}")
    if covariance not in ("diagonal", "rank_one"):
        raise ValueError(f"covariance: expected 'diagonal' or 'rank_one', got {covariance!r}")
    shape = check_event_shape(event_shape)
    model_likelihood = build_likelihood(likelihood, variance, shape)
    output_shape = decoder_shape(model_likelihood, shape)
    return DeepLatentGaussianModel(
        RecognitionLayers(math.prod(shape), sizes, hidden_dim, covariance, build_activation(activation)),
        GenerativeLayers(sizes, hidden_dim, output_shape, build_activation(activation)),
        event_shape=shape,
        latent_dims=sizes,
        likelihood=model_likelihood,
    )

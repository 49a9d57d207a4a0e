"""The chapter's two-layer VAE (13.8-13.10)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from deepgen_fast.models.activations import build_activation
from deepgen_fast.models.likelihoods import build_likelihood, check_event_shape, decoder_shape
from deepgen_fast.models.scale_forms import build_scale_form
from deepgen_fast.models.vae import VAE


class TwoLayerEncoder(nn.Module):
    """h = s(W1 x + b1), mu = W2 h + b2, scale = f(W3 h + b3) (13.8-13.10; the print of (13.10) omits h).

    ``scale_activation`` is f; see ``scale_forms``.
    """

    def __init__(
        self, width: int, hidden_dim: int, latent_dim: int, activation: nn.Module, scale_activation: nn.Module
    ) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, hidden_dim)
        self.activation = activation
        self.mean = nn.Linear(hidden_dim, latent_dim)
        self.scale = nn.Linear(hidden_dim, latent_dim)
        self.scale_activation = scale_activation

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(mean, scale)``, each ``[B, latent_dim]``, for ``x [B, *event]``."""
        h = self.activation(self.hidden(x.flatten(1)))
        return self.mean(h), self.scale_activation(self.scale(h))


class TwoLayerDecoder(nn.Module):
    """The mirror image: h = s(W4 z + b4), output = W5 h + b5, reshaped to the event."""

    def __init__(self, latent_dim: int, hidden_dim: int, output_shape: tuple[int, ...], activation: nn.Module) -> None:
        super().__init__()
        self.hidden = nn.Linear(latent_dim, hidden_dim)
        self.activation = activation
        self.output = nn.Linear(hidden_dim, math.prod(output_shape))
        self.output_shape = output_shape

    def forward(self, z: Tensor) -> Tensor:
        """``[N, *output_shape]`` for ``z [N, latent_dim]``."""
        return self.output(self.activation(self.hidden(z))).unflatten(-1, self.output_shape)


def two_layer_vae(
    event_shape: Sequence[int] = (1, 28, 28),
    hidden_dim: int = 512,
    latent_dim: int = 16,
    likelihood: str = "bernoulli",
    variance: str = "unit",
    scale: str = "logvar",
    activation: str = "relu",
) -> VAE:
    """The chapter's two-layer VAE: one hidden layer in the encoder (13.8-13.10), one in the decoder.

    Parameters are named after the equations: ``encoder.hidden`` (W1), ``encoder.mean`` (W2),
    ``encoder.scale`` (W3), ``decoder.hidden``, ``decoder.output``.

    Args:
        event_shape: shape of one example; anything is flattened.
        hidden_dim: width of both hidden layers.
        latent_dim: dimension of the latent z.
        likelihood: ``"bernoulli"`` or ``"gaussian"``.
        variance: variance of the Gaussian: ``"unit"``, ``"shared"`` or ``"per_pixel"``.
        scale: ``"logvar"`` (default), ``"std"``, ``"pre_softplus"`` or ``"softplus_sigmoid"``, the bounded
            form that the book prints; ``scale_forms.py`` tells what each means.
        activation: s of (13.8): ``"relu"`` (default, trains faster), ``"sigmoid"`` (the print), ``"tanh"``,
            ``"silu"``, ``"leaky_relu"``.

    Raises:
        ValueError: naming the argument that is not one of the above.
    """
    form, scale_activation = build_scale_form(scale)
    for name, size in (("hidden_dim", hidden_dim), ("latent_dim", latent_dim)):
        if size < 1:
            raise ValueError(f"{name}: expected at least 1, got {size}")
    shape = check_event_shape(event_shape)
    model_likelihood = build_likelihood(likelihood, variance, shape)
    return VAE(
        TwoLayerEncoder(math.prod(shape), hidden_dim, latent_dim, build_activation(activation), scale_activation),
        TwoLayerDecoder(latent_dim, hidden_dim, decoder_shape(model_likelihood, shape), build_activation(activation)),
        event_shape=shape,
        latent_dim=latent_dim,
        likelihood=model_likelihood,
        scale=form,
    )

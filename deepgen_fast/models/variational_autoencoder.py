"""The VAEs of the chapter by the name of their networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from deepgen_fast.models.convolutional_vae import convolutional_vae
from deepgen_fast.models.two_layer_vae import two_layer_vae
from deepgen_fast.models.vae import VAE


def variational_autoencoder(
    event_shape: Sequence[int],
    *,
    architecture: Literal["two_layer", "convolutional"] = "two_layer",
    hidden_dim: int = 512,
    channels: Sequence[int] = (32, 64),
    latent_dim: int = 16,
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli",
    variance: Literal["unit", "shared", "per_pixel"] = "unit",
    scale: Literal["logvar", "std", "pre_softplus", "softplus_sigmoid"] = "logvar",
    activation: Literal["relu", "sigmoid", "tanh", "silu", "leaky_relu"] = "relu",
) -> VAE:
    """A VAE with one hidden layer in each network, or with convolutions.

    Args:
        event_shape: shape of one example; ``(channels, height, width)`` for convolutions.
        architecture: two_layer (one hidden layer in the encoder, one in the decoder) or convolutional.
        hidden_dim: hidden units of a two_layer model.
        channels: channels of a convolutional model's layers, each of which halves height and width.
        latent_dim: dimension of the latent z. About 16 suit digits: more stay unused; 2 gives the pictures of manifold.
        likelihood: likelihood p(x|z): bernoulli for pixels near 0 and 1, gaussian for other values.
        variance: variance of the Gaussian p(x|z): unit, shared (one learned number) or per_pixel (from the decoder).
        scale: what the encoder's output for sigma is: logvar (safe for any output), std, pre_softplus, or
            softplus_sigmoid (bounded, between 0.693 and 1.313).
        activation: activation function of the hidden layers.

    Raises:
        ValueError: naming the argument that is not one of the above.
    """
    common: dict[str, Any] = {
        "latent_dim": latent_dim,
        "likelihood": likelihood,
        "variance": variance,
        "scale": scale,
        "activation": activation,
    }
    if architecture == "two_layer":
        return two_layer_vae(event_shape, hidden_dim, **common)
    if architecture == "convolutional":
        return convolutional_vae(event_shape, channels, **common)
    raise ValueError(f"architecture: expected 'two_layer' or 'convolutional', got {architecture!r}")

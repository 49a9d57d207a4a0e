"""A convolutional VAE (13.7): strided convolutions down, transposed convolutions up, no pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from deepgen_fast.models.activations import build_activation
from deepgen_fast.models.likelihoods import build_likelihood, check_event_shape, decoder_shape
from deepgen_fast.models.scale_forms import build_scale_form
from deepgen_fast.models.vae import VAE


class ConvolutionalEncoder(nn.Module):
    """``features``, each of which halves height and width; linear heads ``mean`` and ``scale``."""

    def __init__(
        self,
        image_channels: int,
        channels: Sequence[int],
        feature_width: int,
        latent_dim: int,
        activation: str,
        scale_activation: nn.Module,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in zip((image_channels, *channels), channels, strict=False):
            layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), build_activation(activation)]
        self.features = nn.Sequential(*layers)
        self.mean = nn.Linear(feature_width, latent_dim)
        self.scale = nn.Linear(feature_width, latent_dim)
        self.scale_activation = scale_activation

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(mean, scale)``, each ``[B, latent_dim]``, for ``x [B, C, H, W]``."""
        h = self.features(x).flatten(1)
        return self.mean(h), self.scale_activation(self.scale(h))


class ConvolutionalDecoder(nn.Module):
    """The encoder's mirror image; ``sizes`` are heights and widths, the image's first."""

    def __init__(
        self,
        latent_dim: int,
        channels: Sequence[int],
        output_channels: int,
        sizes: Sequence[tuple[int, int]],
        activation: str,
    ) -> None:
        super().__init__()
        self.start = (channels[-1], *sizes[-1])
        self.hidden = nn.Linear(latent_dim, math.prod(self.start))
        self.activation = build_activation(activation)
        layers: list[nn.Module] = []
        outputs = (*reversed(channels[:-1]), output_channels)
        for index, (inputs, out, (height, width)) in enumerate(
            zip(reversed(channels), outputs, list(reversed(sizes))[1:], strict=True)
        ):
            # Halving an odd size drops its last row; output_padding brings it back.
            padding = (height % 2, width % 2)
            layers.append(nn.ConvTranspose2d(inputs, out, 4, stride=2, padding=1, output_padding=padding))
            if index < len(channels) - 1:
                layers.append(build_activation(activation))
        self.upsample = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """``[N, C, H, W]`` for ``z [N, latent_dim]``."""
        return self.upsample(self.activation(self.hidden(z)).unflatten(-1, self.start))


def convolutional_vae(
    event_shape: Sequence[int] = (1, 28, 28),
    channels: Sequence[int] = (32, 64),
    latent_dim: int = 16,
    likelihood: str = "bernoulli",
    variance: str = "unit",
    scale: str = "logvar",
    activation: str = "relu",
) -> VAE:
    """A VAE whose encoder is ``Conv2d(k=4, s=2, p=1)`` layers and whose decoder is their transposes.

    Args:
        event_shape: ``(channels, height, width)``; height and width at least ``2 ** len(channels)``, odd
            sizes allowed.
        channels: output channels of each convolution, in the encoder's order; each halves height and width.
        latent_dim: dimension of the latent z.
        likelihood: ``"bernoulli"`` or ``"gaussian"``.
        variance: variance of the Gaussian: ``"unit"``, ``"shared"`` or ``"per_pixel"``.
        scale: as in ``two_layer_vae``.
        activation: as in ``two_layer_vae``.

    Raises:
        ValueError: naming the argument that is not one of the above.
    """
    shape = check_event_shape(event_shape)
    if len(shape) != 3:
        raise ValueError(f"event_shape: expected (channels, height, width), got {shape}")
    if not channels or any(count < 1 for count in channels):
        raise ValueError(f"channels: expected one or more positive integers, got {tuple(channels)}")
    if latent_dim < 1:
        raise ValueError(f"latent_dim: expected at least 1, got {latent_dim}")
    smallest = 2 ** len(channels)
    if min(shape[1:]) < smallest:
        raise ValueError(
            f"event_shape: {len(channels)} halvings need height and width of at least {smallest}, got {shape[1:]}"
        )
    form, scale_activation = build_scale_form(scale)
    model_likelihood = build_likelihood(likelihood, variance, shape)
    sizes = [(shape[1] >> level, shape[2] >> level) for level in range(len(channels) + 1)]
    feature_width = channels[-1] * math.prod(sizes[-1])
    return VAE(
        ConvolutionalEncoder(shape[0], channels, feature_width, latent_dim, activation, scale_activation),
        ConvolutionalDecoder(latent_dim, channels, decoder_shape(model_likelihood, shape)[0], sizes, activation),
        event_shape=shape,
        latent_dim=latent_dim,
        likelihood=model_likelihood,
        scale=form,
    )

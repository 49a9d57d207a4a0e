"""The variational autoencoder of chapter 13.2: inference network, sample, generative network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from deepgen_fast.data.checks import check_binary_range, check_pixels
from deepgen_fast.example import Example, event_of
from deepgen_fast.models.event_shape import check_pixel_batch
from deepgen_fast.models.generative_model import GenerativeModel
from deepgen_fast.models.labels import Labels
from deepgen_fast.models.likelihoods import Likelihood, check_event_shape
from deepgen_fast.models.posterior import Posterior
from deepgen_fast.models.previews import Previews, image_previews
from deepgen_fast.models.scale_forms import SCALE_FORMS
from deepgen_fast.random import BatchNoise


class VAEOutput(NamedTuple):
    """One pass: ``z [(M,)B, latent_dim]``, ``kl [B]``, ``decoder_output [(M,)B, *out]``, posterior."""

    z: Tensor
    kl: Tensor
    decoder_output: Tensor
    posterior: Posterior


class VAE(GenerativeModel):
    """A VAE over any pair of networks.

    Args:
        encoder: maps ``[B, *event_shape]`` to ``(mean, scale)``, each ``[B, latent_dim]``.
        decoder: maps ``[N, latent_dim]`` to ``[N, *out]``, where out is the event with its first dimension
            times ``likelihood.output_channels``.
        event_shape: shape of one example, such as ``(1, 28, 28)`` or ``(784,)``.
        latent_dim: dimension of the latent z.
        likelihood: what the decoder's output means.
        scale: what the encoder's second output is. Log-variance by default: any real number is allowed, and
            neither the KL nor its gradient can overflow for moderate values; ``"std"`` and ``"pre_softplus"``
            (13.10) are the chapter's forms.

    Raises:
        ValueError: for an unknown scale form, a latent_dim below 1 or an event shape that is not positive
            integers.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        *,
        event_shape: Sequence[int],
        latent_dim: int,
        likelihood: Likelihood,
        scale: str = "logvar",
    ) -> None:
        super().__init__()
        if scale not in SCALE_FORMS:
            raise ValueError(f"scale: expected one of {', '.join(SCALE_FORMS)}, got {scale!r}")
        if latent_dim < 1:
            raise ValueError(f"latent_dim: expected at least 1, got {latent_dim}")
        self.event_shape = check_event_shape(event_shape)
        self.latent_dim = latent_dim
        self.scale = scale
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood

    def extra_repr(self) -> str:
        return f"event_shape={self.event_shape}, latent_dim={self.latent_dim}, scale={self.scale!r}"

    def encode(self, x: Tensor) -> Posterior:
        """q(z|x) for ``x [B, *event_shape]``.

        Raises:
            ValueError: when the shape of ``x`` is not ``[B, *event_shape]``.
            TypeError: when ``x`` is not floating point.
        """
        mean, scale = self.encoder(check_pixel_batch(x, self.event_shape))
        return Posterior(mean, scale, self.scale)

    def decode(self, z: Tensor) -> Tensor:
        """Decoder output ``[(M,)B, *out]`` for ``z [(M,)B, latent_dim]``; its meaning is the likelihood's.

        Raises:
            ValueError: when the last dimension of ``z`` is not ``latent_dim``.
        """
        check_latent(z, self.latent_dim)
        if z.dim() == 2:
            return self.decoder(z)
        # Convolutions know one batch dimension only.
        return self.decoder(z.flatten(0, -2)).unflatten(0, z.shape[:-1])

    def forward(
        self,
        x: Example,
        num_samples: int | None = None,
        generator: torch.Generator | None = None,
        noise: Tensor | None = None,
    ) -> VAEOutput:
        """Encode, draw z = mean + sigma * eps (13.27), decode.

        Args:
            x: ``[B, *event_shape]``, or what else ``encode`` takes.
            num_samples: M samples of z for each example (13.22); None for one without the leading dimension.
            generator: decides the noise; torch's default generator when None.
            noise: eps itself, ``[(M,)B, latent_dim]``, in place of a draw; rounded to the posterior's dtype,
                which under autocast is narrower than that of ``x``.
        """
        posterior = self.encode(x)
        z, kl = posterior.draw(num_samples, noise, generator)
        return VAEOutput(z, kl, self.decode(self.latent_of(z, x)), posterior)

    def latent_of(self, z: Tensor, x: Example) -> Any:
        """What ``decode`` takes for ``z``: z itself; in models with conditions, those of ``x`` beside it."""
        return z

    def log_likelihood(self, z: Tensor, x: Example) -> Tensor:
        """log p(x|z) ``[(M,)B]``, nats summed over the event, of ``x [B, *event_shape]``, ``z [(M,)B, latent_dim]``."""
        return self.likelihood.log_likelihood(self.decode(self.latent_of(z, x)), event_of(x), reduction="sample")

    # For use.

    def draw_latent(self, count: int, noise: BatchNoise | None = None) -> Any:
        """What ``decode`` takes: z ~ N(0, I), ``[count, latent_dim]``.

        Raises:
            ValueError: when ``count`` is negative.
        """
        if count < 0:
            raise ValueError(f"n: expected 0 or more, got {count}")
        noise = BatchNoise() if noise is None else noise
        return noise.normal((count, self.latent_dim), next(self.parameters()))

    def condition(self, latent: Any, labels: Labels) -> Any:
        """The latent with other classes, ``[B]`` or one for all, of models that have some.

        Raises:
            ValueError: the model has none, there are more or fewer than latents, or one is out of range.
        """
        raise ValueError(f"labels: a {type(self).__name__} has no classes to choose from")

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None, labels: Labels | None = None) -> Tensor:
        """``[n, *event_shape]``: E[x|z] at ``n`` draws of the prior, z ~ N(0, I), the usual picture of a VAE.

        Args:
            n: how many.
            generator: on the device of the model's parameters; torch's own when None.
            labels: classes, of models that have some: ``[n]``, or one for all. When None, they come in turn: 0, 1, ...,
                K - 1, 0, 1, ...

        Raises:
            ValueError: when ``n`` is negative, or as ``condition``.
        """
        latent = self.draw_latent(n, BatchNoise(generator))
        return self.likelihood.mean(self.decode(latent if labels is None else self.condition(latent, labels)))

    @torch.no_grad()
    def reconstruct(self, x: Example) -> Tensor:
        """``[B, *event_shape]``: E[x|z] at z = E[z|x]."""
        return self.likelihood.mean(self.decode(self.latent_of(self.encode(x).mean, x)))

    # What a trainer asks.

    @property
    def keep_in_fp32_modules(self) -> tuple[nn.Module, ...]:
        """Submodules that stay in float32 where the networks run in less: the likelihood, with its learned variance."""
        return (self.likelihood,)

    def check_data(self, examples: Tensor, name: str) -> None:
        """Check that ``examples [N, *event_shape]`` can be trained on: finite pixels, in [0, 1] for a Bernoulli; or
        bytes, which are divided by 255 as they are used.

        Raises:
            DataError: when they cannot; the message begins with ``name``.
        """
        check_pixels(examples, name=name)
        if self.likelihood.kind == "bernoulli" and examples.is_floating_point():
            check_binary_range(examples, name=name)

    def previews(self, generator: torch.Generator, examples: Example | None = None) -> Previews:
        """What a run shows as the model trains: samples, and held-out images above their reconstructions."""
        return image_previews(self, generator, examples)


def check_latent(z: Tensor, latent_dim: int) -> None:
    """Check for ``z [(M,)B, latent_dim]``.

    Raises:
        ValueError: for another shape.
    """
    if z.dim() < 2 or z.shape[-1] != latent_dim:
        raise ValueError(f"z: expected shape [(samples,) batch, {latent_dim}], got {list(z.shape)}")

"""The variational autoencoder of chapter 13.2: inference network, sample, generative network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

import deepgen_fast as dgf
from deepgen_fast.data.checks import check_binary_range, check_pixels
from deepgen_fast.example import Example, event_of
from deepgen_fast.models.event_shape import is_image
from deepgen_fast.models.likelihoods import Likelihood, check_event_shape
from deepgen_fast.models.posterior import Posterior
from deepgen_fast.models.scale_forms import SCALE_FORMS

#: What a run shows of its model, by name: images ``[n, C, H, W]`` and the columns of their grid, or a text.
Exhibits: TypeAlias = dict[str, tuple[Tensor, int] | str]

_SAMPLES_SHOWN = 64


class VAEOutput(NamedTuple):
    """One pass: ``z [(M,)B, latent_dim]``, ``kl [B]``, ``decoder_output [(M,)B, *out]``, posterior."""

    z: Tensor
    kl: Tensor
    decoder_output: Tensor
    posterior: Posterior


class VAE(nn.Module):
    """A VAE over any pair of networks.

    Args:
        encoder: maps ``[B, *event_shape]`` to ``(mean, scale)``, each ``[B, latent_dim]``.
        decoder: maps ``[N, latent_dim]`` to ``[N, *out]``, where out is the event with its first dimension
            times ``likelihood.output_channels``.
        event_shape: shape of one example, such as ``(1, 28, 28)`` or ``(784,)``.
        latent_dim: size of z.
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
        if x.dim() != len(self.event_shape) + 1 or tuple(x.shape[1:]) != self.event_shape:
            expected = ", ".join(map(str, self.event_shape))
            raise ValueError(f"x: expected shape [batch, {expected}], got {list(x.shape)}")
        if not x.is_floating_point():
            raise TypeError(f"x: expected a floating point tensor, got {x.dtype}; pixels are numbers in [0, 1]")
        mean, scale = self.encoder(x)
        return Posterior(mean, scale, self.scale)

    def decode(self, z: Tensor) -> Tensor:
        """Decoder output ``[(M,)B, *out]`` for ``z [(M,)B, latent_dim]``; its meaning is the likelihood's.

        Raises:
            ValueError: when the last dimension of ``z`` is not ``latent_dim``.
        """
        if z.dim() < 2 or z.shape[-1] != self.latent_dim:
            raise ValueError(f"z: expected shape [(samples,) batch, {self.latent_dim}], got {list(z.shape)}")
        if z.dim() == 2:
            return self.decoder(z)
        # Convolutions know one batch dimension only.
        output = self.decoder(z.reshape(-1, self.latent_dim))
        return output.reshape(*z.shape[:-1], *output.shape[1:])

    def forward(
        self,
        x: Tensor,
        num_samples: int | None = None,
        generator: torch.Generator | None = None,
        noise: Tensor | None = None,
    ) -> VAEOutput:
        """Encode, draw z = mean + sigma * eps (13.27), decode.

        Args:
            x: ``[B, *event_shape]``.
            num_samples: M samples of z for each example (13.22); None for one without the leading dimension.
            generator: decides the noise; torch's default generator when None.
            noise: eps itself, ``[(M,)B, latent_dim]``, in place of a draw; rounded to the posterior's dtype,
                which under autocast is narrower than that of ``x``.
        """
        posterior = self.encode(x)
        z, kl = dgf.reparameterize_kl(
            posterior.mean,
            **posterior.kwargs(),
            num_samples=num_samples,
            noise=None if noise is None else noise.to(posterior.mean.dtype),
            generator=generator,
        )
        return VAEOutput(z, kl, self.decode(z), posterior)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """``[n, *event_shape]``: E[x|z] at ``n`` draws of the prior, z ~ N(0, I), the usual picture of a VAE.

        The generator must live on the device of the model's parameters.

        Raises:
            ValueError: when ``n`` is negative.
        """
        if n < 0:
            raise ValueError(f"n: expected 0 or more, got {n}")
        parameter = next(self.parameters())
        z = torch.randn(n, self.latent_dim, generator=generator, device=parameter.device, dtype=parameter.dtype)
        return self.likelihood.mean(self.decode(z))

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """``[B, *event_shape]``: E[x|z] at z = E[z|x]."""
        return self.likelihood.mean(self.decode(self.encode(x).mean))

    # What a trainer asks.

    @property
    def wide_modules(self) -> tuple[nn.Module, ...]:
        """Submodules that stay in float32 where the networks run in less: the likelihood, with its learned variance."""
        return (self.likelihood,)

    def check_data(self, examples: Tensor, name: str) -> None:
        """Check that ``examples [N, *event_shape]`` can be trained on: finite pixels, in [0, 1] for a Bernoulli.

        Args:
            examples: floating point, or uint8 pixels, which are divided by 255 as they are used.
            name: of the data, for messages.

        Raises:
            DataError: when they cannot.
        """
        check_pixels(examples, name=name)
        if self.likelihood.kind == "bernoulli" and examples.is_floating_point():
            check_binary_range(examples, name=name)

    def exhibits(self, generator: torch.Generator, examples: Example | None = None) -> Exhibits:
        """What a run shows as the model trains: samples, and some held-out examples above their reconstructions.

        Args:
            generator: decides the samples, on the device of the model's parameters.
            examples: a few held-out ones, as the model is called with them; None where there are none.
        """
        if not is_image(self.event_shape):
            return {}
        shown: Exhibits = {"samples": (self.sample(_SAMPLES_SHOWN, generator=generator), 8)}
        if examples is not None:
            x = event_of(examples)
            shown["reconstructions"] = (torch.cat([x, self.reconstruct(examples)]), len(x))
        return shown

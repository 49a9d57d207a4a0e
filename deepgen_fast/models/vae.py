"""The variational autoencoder of chapter 13.2: inference network, sample, generative network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import deepgen_fast as dgf
from deepgen_fast.models.likelihoods import Likelihood, check_event_shape
from deepgen_fast.models.scale_forms import SCALE_FORMS


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

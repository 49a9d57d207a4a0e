"""What a decoder's output means: the observation models p(x|z) of chapter 13.2.

A likelihood turns the raw output of a decoder into a log-likelihood, a mean image or a sample. It owns no
network; only the learned shared variance of a Gaussian is a parameter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

import deepgen_fast as dgf

_VARIANCES = ("unit", "shared", "per_pixel")


def check_event_shape(event_shape: Sequence[int]) -> tuple[int, ...]:
    shape = tuple(event_shape)
    if not shape or any(not isinstance(size, int) or isinstance(size, bool) or size < 1 for size in shape):
        raise ValueError(f"event_shape: expected one or more positive integers, got {shape}")
    return shape


class BernoulliLikelihood(nn.Module):
    """Independent Bernoulli pixels (13.16-13.17); the decoder gives logits ``[(M,)B, *event]``."""

    kind = "bernoulli"
    output_channels = 1
    """Decoder channels per channel of the image."""

    def split(self, decoder_output: Tensor) -> tuple[Tensor, None]:
        """``(logits, None)``: ``decoder_output`` and ``likelihood_logvar`` of ``negative_elbo``."""
        return decoder_output, None

    def log_likelihood(
        self, decoder_output: Tensor, target: Tensor, mask: Tensor | None = None, reduction: str = "sample"
    ) -> Tensor:
        """log p(x|z) of ``target [B, *event]``; see ``bernoulli_log_likelihood``."""
        return dgf.bernoulli_log_likelihood(decoder_output, target, mask=mask, reduction=reduction)

    def mean(self, decoder_output: Tensor) -> Tensor:
        """E[x|z], the probabilities gamma of (13.16), of the decoder output's shape."""
        return torch.sigmoid(decoder_output)

    def sample(self, decoder_output: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """x ~ p(x|z): zeros and ones of the decoder output's shape and dtype."""
        return torch.bernoulli(torch.sigmoid(decoder_output), generator=generator)


class GaussianLikelihood(nn.Module):
    """Independent Gaussian pixels N(mu_G, sigma_G^2) (13.18).

    Args:
        variance: ``"unit"``, sigma_G = 1 (13.28); ``"shared"``, one learned log-variance for all pixels, the
            parameter ``logvar []``; ``"per_pixel"``, a log-variance for every pixel from the decoder, whose
            output then has twice the channels: the first half of the first event dimension is the mean, the
                second the log-variance.
        event_shape: shape of one example.
        initial_logvar: where the shared log-variance starts. 0, unit variance, is the scale of (13.28).

    Raises:
        ValueError: for an unknown variance or an event shape that is not positive integers.
    """

    kind = "gaussian"

    def __init__(
        self, variance: str = "unit", event_shape: Sequence[int] = (1,), *, initial_logvar: float = 0.0
    ) -> None:
        super().__init__()
        if variance not in _VARIANCES:
            raise ValueError(f"variance: expected one of {', '.join(_VARIANCES)}, got {variance!r}")
        self.variance = variance
        self.event_shape = check_event_shape(event_shape)
        self.output_channels = 2 if variance == "per_pixel" else 1
        self.logvar: nn.Parameter | None
        if variance == "shared":
            self.logvar = nn.Parameter(torch.tensor(float(initial_logvar)))
        else:
            self.register_parameter("logvar", None)

    def extra_repr(self) -> str:
        return f"variance={self.variance!r}, event_shape={self.event_shape}"

    def split(self, decoder_output: Tensor) -> tuple[Tensor, Tensor | None]:
        """``(mean, logvar)``, each ``[(M,)B, *event]``; logvar is None for unit, ``[]`` for shared."""
        if self.logvar is not None:
            # The parameter stays float32 where the decoder runs in less.
            return decoder_output, self.logvar.to(decoder_output.dtype)
        if self.variance != "per_pixel":
            return decoder_output, None
        dim = -len(self.event_shape)
        expected = (2 * self.event_shape[0], *self.event_shape[1:])
        if decoder_output.dim() <= len(expected) or tuple(decoder_output.shape[dim:]) != expected:
            raise ValueError(
                f"decoder_output: expected shape [..., {', '.join(map(str, expected))}] (means, then "
                "log-variances, of "
                f"events {list(self.event_shape)}), got {list(decoder_output.shape)}"
            )
        mean, logvar = decoder_output.chunk(2, dim=dim)
        return mean, logvar

    def log_likelihood(
        self, decoder_output: Tensor, target: Tensor, mask: Tensor | None = None, reduction: str = "sample"
    ) -> Tensor:
        """log p(x|z). ``target [B, *event]``; see ``gaussian_log_likelihood``."""
        mean, logvar = self.split(decoder_output)
        return dgf.gaussian_log_likelihood(mean, target, logvar=logvar, mask=mask, reduction=reduction)

    def mean(self, decoder_output: Tensor) -> Tensor:
        """E[x|z] = mu_G, ``[(M,)B, *event]``."""
        return self.split(decoder_output)[0]

    def sample(self, decoder_output: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """x ~ p(x|z), ``[(M,)B, *event]``."""
        mean, logvar = self.split(decoder_output)
        noise = torch.empty_like(mean).normal_(generator=generator)
        return mean + noise if logvar is None else mean + noise * torch.exp(0.5 * logvar)


Likelihood = BernoulliLikelihood | GaussianLikelihood


def check_variance(likelihood: str, variance: str) -> None:
    """Check that only a Gaussian is given a variance.

    Raises:
        ValueError: when another likelihood is.
    """
    if variance != "unit" and likelihood != "gaussian":
        raise ValueError(f"variance={variance!r} needs likelihood='gaussian', got {likelihood!r}")


def build_likelihood(name: str, variance: str, event_shape: Sequence[int]) -> Likelihood:
    """``"bernoulli"`` or ``"gaussian"`` by name; ``variance`` is the Gaussian's.

    Raises:
        ValueError: for an unknown name.
    """
    if name == "bernoulli":
        return BernoulliLikelihood()
    if name == "gaussian":
        return GaussianLikelihood(variance, event_shape)
    raise ValueError(f"likelihood: expected 'bernoulli' or 'gaussian', got {name!r}")


def decoder_shape(likelihood: Likelihood, event_shape: Sequence[int]) -> tuple[int, ...]:
    """Shape of one decoder output: the event, first dimension times ``output_channels``."""
    shape = check_event_shape(event_shape)
    return (shape[0] * likelihood.output_channels, *shape[1:])


def decoder_width(likelihood: Likelihood, event_shape: Sequence[int]) -> int:
    """Number of values in one decoder output."""
    return math.prod(decoder_shape(likelihood, event_shape))

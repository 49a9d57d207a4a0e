"""The generative adversarial network of chapter 13.3: a generator, a discriminator, and the prior of z."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from deepgen_fast.example import event_of
from deepgen_fast.models.generative_model import GenerativeModel
from deepgen_fast.models.labels import Labels
from deepgen_fast.models.likelihoods import check_event_shape
from deepgen_fast.nn.intermediate import with_output_of
from deepgen_fast.random import BatchNoise

Prior = Literal["normal", "uniform"]
Output = Literal["tanh", "sigmoid", "linear"]

PRIORS: tuple[str, ...] = ("normal", "uniform")
#: The generator's last layer. Of tanh, pixels in [0, 1] are taken to [-1, 1] and back; a linear one makes any values.
OUTPUTS: tuple[str, ...] = ("tanh", "sigmoid", "linear")


class GAN(GenerativeModel):
    """A GAN over any pair of networks: an implicit density, x = G(z) with z from the prior.

    Args:
        generator: maps ``[B, latent_dim]`` to ``[B, *event_shape]``.
        discriminator: maps ``[B, *event_shape]`` to one logit an example, ``[B]`` or of any shape of B numbers; D(x) is
            its sigmoid.
        event_shape: shape of one example, such as ``(3, 64, 64)``.
        latent_dim: dimension of the latent z.
        prior: prior of z: ``"normal"``, N(0, I), or ``"uniform"`` between -1 and 1.
        output: what the generator ends in, which says how data stands to what the networks see: ``"tanh"``: data in
            [0, 1], networks in [-1, 1]; ``"sigmoid"``: both in [0, 1]; ``"linear"``: any values, as they are.
        feature_layer: name of the discriminator's submodule whose output ``features`` gives, such as ``"2"``; None
            where there is no such layer.

    ``generator_parameters`` and ``discriminator_parameters`` are what the two players move. A system whose players hold
    more than the two networks overrides them; one with conditions or codes, ``draw_latent`` and ``generate``: a latent
    may be any tuple of tensors, and an example a tuple that begins with what is generated. One whose latents can only
    be drawn beside real examples, as these hold what it is conditioned on, is ``conditioned``.

    Raises:
        ValueError: an unknown prior or output, a latent_dim below 1, or an event shape that is not positive integers.

    Source: Goodfellow et al., "Generative adversarial nets", 2014.
    """

    conditioned = False

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        event_shape: Sequence[int],
        latent_dim: int,
        prior: str = "normal",
        output: str = "tanh",
        feature_layer: str | None = None,
    ) -> None:
        super().__init__()
        for name, value, known in (("prior", prior, PRIORS), ("output", output, OUTPUTS)):
            if value not in known:
                raise ValueError(f"{name}: expected one of {', '.join(known)}, got {value!r}")
        if latent_dim < 1:
            raise ValueError(f"latent_dim: expected at least 1, got {latent_dim}")
        self.event_shape = check_event_shape(event_shape)
        self.latent_dim = latent_dim
        self.prior = prior
        self.output = output
        self.generator = generator
        self.discriminator = discriminator
        self.feature_layer = feature_layer

    def extra_repr(self) -> str:
        return (
            f"event_shape={self.event_shape}, latent_dim={self.latent_dim}, prior={self.prior!r}, "
            f"output={self.output!r}"
        )

    def generator_parameters(self) -> list[nn.Parameter]:
        """Parameters that the generator's optimizer updates."""
        return list(self.generator.parameters())

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """Parameters that the discriminator's optimizer updates."""
        return list(self.discriminator.parameters())

    def generator_state(self) -> dict[str, Tensor]:
        """Parameters and floating buffers that decide what is generated, by their names in ``state_dict``: what an
        average of the weights follows. Of batch norms the running statistics too, which belong to the weights."""
        tensors = (*self.generator.named_parameters(), *self.generator.named_buffers())
        return {f"generator.{name}": tensor for name, tensor in tensors if tensor.is_floating_point()}

    # Between data and networks.

    def from_data(self, x: Any) -> Any:
        """Data ``[B, *event_shape]`` as the networks see it; of a pair with labels, the first."""
        if not isinstance(x, Tensor):
            return (self.from_data(x[0]), *x[1:])
        return x * 2.0 - 1.0 if self.output == "tanh" else x

    def to_data(self, example: Any) -> Tensor:
        """What was generated, ``[B, *event_shape]``, as data."""
        x = event_of(example)
        return x * 0.5 + 0.5 if self.output == "tanh" else x

    # The two networks.

    def draw_latent(self, count: int, noise: BatchNoise | None = None, real: Any = None) -> Any:
        """z ~ prior, ``[count, latent_dim]`` in float32.

        Args:
            count: examples.
            noise: decides the numbers.
            real: the real examples beside which the generated ones will stand, for models with conditions.

        Raises:
            ValueError: when ``count`` is negative.
        """
        if count < 0:
            raise ValueError(f"n: expected 0 or more, got {count}")
        return self.draw_prior((count, self.latent_dim), noise)

    def draw_prior(self, size: Sequence[int], noise: BatchNoise | None = None) -> Tensor:
        """Numbers of the prior in float32, of ``size``, whose first counts examples."""
        like = next(self.generator.parameters()).new_empty(0, dtype=torch.float32)
        noise = BatchNoise() if noise is None else noise
        return noise.normal(size, like) if self.prior == "normal" else noise.uniform(size, like) * 2.0 - 1.0

    def sample_latents_like(self, data: Tensor, noise: BatchNoise | None = None) -> Any:
        """Latents of as many samples as there are examples in ``data [B, *event_shape]``; those of a ``conditioned``
        model hold what it takes from these."""
        return self.draw_latent(len(data), noise, self.from_data(data) if self.conditioned else None)

    def generate(self, latent: Any) -> Any:
        """``[B, *event_shape]``, as the networks see it, for ``latent [B, latent_dim]``."""
        return self.generator(latent.to(dtype_of(self.generator)))

    def discriminate(self, example: Any) -> Tensor:
        """One logit an example, ``[B]`` in float32 (float64 of float64 networks); of a pair with labels, they are not
        looked at."""
        return logits_of(self.discriminator, event_of(example))

    def logits_and_features(self, example: Any) -> tuple[Tensor, Tensor]:
        """``discriminate`` of an example, and its ``features``, by one pass."""
        if self.feature_layer is None:
            raise ValueError(f"features: the discriminator of a {type(self).__name__} names no layer to take them from")
        layer = self.discriminator.get_submodule(self.feature_layer)
        logits, output = with_output_of(layer, lambda: self.discriminate(example))
        return logits, upcast(output[-len(logits) :].flatten(1))  # before these rows, a reference batch may be

    def features(self, example: Any) -> Tensor:
        """f(x), ``[B, n]``: what an intermediate layer of the discriminator makes of examples.

        Raises:
            ValueError: the discriminator has no feature layer.
        """
        return self.logits_and_features(example)[1]

    # For use.

    @torch.no_grad()
    def decode(self, latent: Any) -> Tensor:
        """Examples as data, ``[B, *event_shape]``, for ``latent [B, latent_dim]``."""
        return self.to_data(self.generate(latent))

    def condition(self, latent: Any, labels: Labels) -> Any:
        """The latent with other classes or categorical codes, ``[B]`` or one for all, of models that have some.

        Raises:
            ValueError: the model has none, there are more or fewer than latents, or one is out of range.
        """
        raise ValueError(f"labels: a {type(self).__name__} has no classes to choose from")

    def sample(self, n: int, generator: torch.Generator | None = None, labels: Labels | None = None) -> Tensor:
        """``[n, *event_shape]`` as data.

        Args:
            n: how many.
            generator: on the device of the model's parameters; torch's own when None.
            labels: classes or categorical codes, of models that have some: ``[n]``, or one for all. When None, they
                come in turn: 0, 1, ..., K - 1, 0, 1, ...

        Raises:
            ValueError: when ``n`` is negative, or as ``condition``.
        """
        latent = self.draw_latent(n, BatchNoise(generator))
        return self.decode(latent if labels is None else self.condition(latent, labels))

    def forward(self, latent: Any) -> Any:
        """``generate``."""
        return self.generate(latent)


def upcast(outputs: Tensor) -> Tensor:
    """Outputs of a narrow copy in float32, as losses want them; others as they are."""
    return outputs.float() if outputs.dtype in (torch.bfloat16, torch.float16) else outputs


def logits_of(network: nn.Module, x: Tensor) -> Tensor:
    """What a discriminator gives for ``x [B, *event]``: ``[B]`` in float32 (float64 of float64 networks)."""
    return upcast(network(x.to(dtype_of(network))).flatten())


def dtype_of(network: nn.Module) -> torch.dtype:
    """That of the first layer, which is no norm: a copy in bfloat16 keeps these in float32."""
    return next(network.parameters()).dtype

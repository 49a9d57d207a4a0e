"""InfoGAN: a generator with codes, and a head beside the discriminator's that reads them back from its examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepgen_fast.example import event_of
from deepgen_fast.models.dcgan_networks import (
    DCGANFeatures,
    DCGANGenerator,
    check_sizes,
    doubling_blocks,
    halving_blocks,
    initialize,
    last_block,
    levels_of,
)
from deepgen_fast.models.gan import GAN, Prior, dtype_of, upcast
from deepgen_fast.models.labels import Labels, as_labels, labels_in_turn
from deepgen_fast.nn import DiscriminatorBlock
from deepgen_fast.random import BatchNoise

_CODE_UNITS = 128  # of Q's hidden layer, as in the paper


class CodePosterior(NamedTuple):
    """Q(c|x) of a batch.

    Attributes:
        logits: ``[B, K]``, unnormalized log-probabilities of the categorical code.
        mean, logvar: ``[B, C]`` of the continuous codes, which are independent Gaussians.
    """

    logits: Tensor
    mean: Tensor
    logvar: Tensor


class InfoGAN(GAN):
    """G(z, c) with a categorical code of K values and C continuous ones in [-1, 1], all uniform.

    A latent is ``(z, code, continuous)`` of shapes ``[B, latent_dim]``, int64 ``[B]`` and ``[B, C]``; a generated
    example ``(x, code, continuous)``, so that the objective knows what Q should find; a real one is x alone.

    Args:
        generator: maps ``[B, latent_dim + K + C]`` to ``[B, *event_shape]``.
        discriminator: a ``TrunkWithHeads``, whose codes are ``[B, K + 2 C]``. All of it belongs to the discriminator's
            player, Q's head too: so does the paper's code, where either player's loss has the bound.
        num_classes: number of classes.
        num_continuous: C; 0 for none.
        options: of ``GAN``.

    Raises:
        ValueError: K below 1, C below 0, or as ``GAN``.

    Source: Chen et al., "InfoGAN: interpretable representation learning by information maximizing generative
    adversarial nets", 2016.
    """

    num_classes: int

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, *, num_classes: int, num_continuous: int, **options: Any
    ) -> None:
        super().__init__(generator, discriminator, **options)
        for name, value, least in (("num_classes", num_classes, 1), ("num_continuous", num_continuous, 0)):
            if value < least:
                raise ValueError(f"{name}: expected at least {least}, got {value}")
        self.num_classes = num_classes
        self.num_continuous = num_continuous
        self.num_conditions = num_classes

    def draw_latent(self, count: int, noise: BatchNoise | None = None, real: Any = None) -> Any:
        """z and codes. Without real examples beside them, the categorical code is 0, 1, ..., K - 1, 0, 1, ..."""
        noise = BatchNoise() if noise is None else noise
        z = super().draw_latent(count, noise)
        if real is None:
            code = labels_in_turn(count, self.num_classes, z.device)
        else:
            code = noise.integers((count,), self.num_classes, z)
        return z, code, noise.uniform((count, self.num_continuous), z) * 2.0 - 1.0

    def generate(self, latent: Any) -> Any:
        """``(x, code, continuous)``, x as the networks see it."""
        z, code, continuous = latent
        inputs = torch.cat([z, F.one_hot(code, self.num_classes).to(z.dtype), continuous], 1)
        return self.generator(inputs.to(dtype_of(self.generator))), code, continuous

    def logits_and_codes(self, example: Any) -> tuple[Tensor, CodePosterior]:
        """The logits ``[B]`` of D and Q(c|x), by one pass through what they share."""
        both: Any = self.discriminator.both
        logits, codes = both(event_of(example).to(dtype_of(self.discriminator)))
        sizes = (self.num_classes, self.num_continuous, self.num_continuous)
        return upcast(logits), CodePosterior(*upcast(codes).split(sizes, 1))

    def recognize(self, example: Any) -> CodePosterior:
        """Q(c|x) of examples as the networks see them (``from_data``)."""
        return self.logits_and_codes(example)[1]

    def condition(self, latent: Any, labels: Labels) -> Any:
        """As ``GAN.condition``, of the categorical code."""
        z, _, continuous = latent
        return z, as_labels(labels, len(z), self.num_classes).to(z.device), continuous


class TrunkWithHeads(nn.Module):
    """A discriminator and Q, which share all but their last layers."""

    def __init__(self, trunk: nn.Module, logit: nn.Module, codes: nn.Module) -> None:
        super().__init__()
        self.trunk, self.logit, self.codes = trunk, logit, codes

    def forward(self, x: Tensor) -> Tensor:
        """``[B]``: D's logits."""
        return self.logit(self.trunk(x)).flatten()

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """D's logits ``[B]`` and Q's parameters ``[B, n]``."""
        features = self.trunk(x)
        return self.logit(features).flatten(), self.codes(features)


def infogan(
    event_shape: Sequence[int] = (1, 28, 28),
    num_classes: int = 10,
    num_continuous: int = 2,
    width: int = 32,
    latent_dim: int = 10,
    prior: Prior = "uniform",
) -> InfoGAN:
    """InfoGAN over DCGAN's networks, by default with the paper's codes for MNIST.

    Q reads the images that D's blocks leave through 128 hidden units with batch norm and leaky ReLU: the parameters of
    a categorical, and means and log-variances of Gaussians. Left out: several categorical codes, and the fully
    connected layer of 1024 units in each network.

    Args:
        event_shape: ``(channels, side, side)``; the side is 4, 5, 6 or 7 times a power of two.
        num_classes: number of values of the categorical code.
        num_continuous: continuous codes.
        width: channels at half the image's size.
        latent_dim: dimension of the latent z, the noise beside the codes. The paper's 62 numbers of z drown ten of the
            code in the generator's first layer: z comes to mean the digit first, and the code some detail.
        prior: prior of z: uniform between -1 and 1, or normal.

    Raises:
        ValueError: naming the argument that is not one of the above.
    """
    shape = check_sizes(event_shape, width=width, latent_dim=latent_dim)
    base, levels = levels_of(shape[1])
    codes = nn.Sequential(
        DiscriminatorBlock(width * 2 ** (levels - 1), _CODE_UNITS, base, 1, 0),
        nn.Flatten(),
        nn.Linear(_CODE_UNITS, num_classes + 2 * num_continuous),
    )
    model = InfoGAN(
        DCGANGenerator(*doubling_blocks(latent_dim + num_classes + num_continuous, shape, width)),
        TrunkWithHeads(DCGANFeatures(*halving_blocks(shape, width, outputs=None)), last_block(shape, width), codes),
        num_classes=num_classes,
        num_continuous=num_continuous,
        event_shape=shape,
        latent_dim=latent_dim,
        prior=prior,
    )
    initialize(model)
    return model

"""CatGAN: a discriminator that tells K classes apart, and real from generated only by how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from deepgen_fast.example import event_of
from deepgen_fast.models.dcgan_networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    check_sizes,
    doubling_blocks,
    halving_blocks,
    initialize,
)
from deepgen_fast.models.gan import GAN, Prior, dtype_of, upcast
from deepgen_fast.models.gaussian_noise import with_noise
from deepgen_fast.nn.batch_norm import batch_statistics
from deepgen_fast.objectives.entropies import certainty_logits


class CatGAN(GAN):
    """A generator against a classifier of K classes, p(y|x, D), which has no output for "generated".

    Args:
        generator: maps ``[B, latent_dim]`` to ``[B, *event_shape]``.
        discriminator: maps ``[B, *event_shape]`` to unnormalized log p(y|x, D), ``[B, K]``.
        num_classes: number of classes, at least 2.
        options: of ``GAN``.

    Raises:
        ValueError: K below 2, or as ``GAN``.

    Source: Springenberg, "Unsupervised and semi-supervised learning with categorical generative adversarial networks",
    2016.
    """

    num_classes: int

    def __init__(self, generator: nn.Module, discriminator: nn.Module, *, num_classes: int, **options: Any) -> None:
        super().__init__(generator, discriminator, **options)
        if num_classes < 2:
            raise ValueError(f"num_classes: expected at least 2, got {num_classes}")
        self.num_classes = num_classes

    def classify(self, example: Any) -> Tensor:
        """Unnormalized log p(y|x, D), ``[B, K]`` in float32 (float64 of float64 networks), of examples as the networks
        see them (``from_data``); of a pair with labels, of the first."""
        return upcast(self.discriminator(event_of(example).to(dtype_of(self.discriminator))))

    def discriminate(self, example: Any) -> Tensor:
        """``[B]``: how sure D is of its class, as a logit; see ``objectives.certainty_logits``."""
        return certainty_logits(self.classify(example))

    @torch.no_grad()
    def probabilities(self, x: Tensor) -> Tensor:
        """p(y|x, D), ``[B, K]``, of data ``[B, *event_shape]``.

        Batch norms have the statistics of this batch, as in training, where the running ones mix real and generated
        examples: so B should be about the batch size of training or more, and its classes about as frequent.
        """
        with batch_statistics(self.discriminator):
            return self.classify(self.from_data(x)).softmax(1)

    def predict(self, x: Tensor) -> Tensor:
        """The most probable classes, int64 ``[B]``, by ``probabilities``."""
        return self.probabilities(x).argmax(1)


def catgan(
    event_shape: Sequence[int] = (1, 28, 28),
    num_classes: int = 10,
    width: int = 32,
    latent_dim: int = 100,
    prior: Prior = "uniform",
    noise: float = 0.3,
) -> CatGAN:
    """CatGAN over DCGAN's networks, the discriminator's last layer with K outputs.

    Left out: the pooling and the fully connected layers of the paper's discriminators, and its autoencoders.

    Args:
        event_shape: ``(channels, side, side)``; the side is 4, 5, 6 or 7 times a power of two.
        num_classes: number of clusters; more than there are classes gives purer clusters.
        width: channels at half the image's size.
        latent_dim: dimension of the latent z.
        prior: prior of z: uniform between -1 and 1, or normal.
        noise: standard deviation of the Gaussian noise at each layer of the discriminator in training, without which
            it would be sure of any cluster that its weights happen to make.

    Raises:
        ValueError: naming the argument that is not one of the above.
    """
    shape = check_sizes(event_shape, width=width, latent_dim=latent_dim)
    blocks = halving_blocks(shape, width, outputs=num_classes)
    model = CatGAN(
        DCGANGenerator(*doubling_blocks(latent_dim, shape, width)),
        DCGANDiscriminator(*with_noise(blocks, noise)),
        num_classes=num_classes,
        event_shape=shape,
        latent_dim=latent_dim,
        prior=prior,
    )
    initialize(model)
    return model

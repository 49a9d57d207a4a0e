"""A GAN whose discriminator is a classifier of K classes and of what is generated: learning from few labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from deepgen_fast.models.catgan import CatGAN
from deepgen_fast.models.dcgan_networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    check_sizes,
    doubling_blocks,
    halving_blocks,
    initialize,
)
from deepgen_fast.models.gan import Prior
from deepgen_fast.models.gaussian_noise import with_noise
from deepgen_fast.objectives.semi_supervised import realness


class SemiSupervisedGAN(CatGAN):
    """Of K + 1 classes, K of real examples and one of generated ones, whose logit is fixed at 0.

    A softmax over K + 1 logits does not change when a function of x is added to all of them, so K outputs l_k are
    enough: D(x) = Z(x) / (Z(x) + 1), Z(x) = sum_k exp l_k(x), and p(k|x, real) = exp l_k / Z.

    Args:
        generator, discriminator, num_classes, options: as of ``CatGAN``, which has the same outputs.

    Raises:
        ValueError: as ``CatGAN``.

    Source: Salimans et al., "Improved techniques for training GANs", 2016, section 5.
    """

    def discriminate(self, example: Any) -> Tensor:
        """``[B]``: log Z, the logit of D(x)."""
        return realness(self.classify(example))


def semi_supervised_gan(
    event_shape: Sequence[int] = (1, 28, 28),
    num_classes: int = 10,
    width: int = 32,
    latent_dim: int = 100,
    prior: Prior = "uniform",
    noise: float = 0.6,
) -> SemiSupervisedGAN:
    """The K + 1 classes over DCGAN's networks.

    The discriminator's features, which the generator matches, are those under its last layer. Left out: the weight norm
    of the paper's discriminators, which have batch norm here, and its networks, which are fully connected for MNIST.

    Args:
        event_shape: ``(channels, side, side)``; the side is 4, 5, 6 or 7 times a power of two.
        num_classes: number of classes.
        width: channels at half the image's size.
        latent_dim: dimension of the latent z.
        prior: prior of z: uniform between -1 and 1, or normal.
        noise: standard deviation of the Gaussian noise at each layer of the discriminator in training.

    Raises:
        ValueError: naming the argument that is not one of the above.
    """
    shape = check_sizes(event_shape, width=width, latent_dim=latent_dim)
    layers = with_noise(halving_blocks(shape, width, outputs=num_classes), noise)
    model = SemiSupervisedGAN(
        DCGANGenerator(*doubling_blocks(latent_dim, shape, width)),
        DCGANDiscriminator(*layers),
        num_classes=num_classes,
        event_shape=shape,
        latent_dim=latent_dim,
        prior=prior,
        feature_layer=str(len(layers) - 3),
    )
    initialize(model)
    return model

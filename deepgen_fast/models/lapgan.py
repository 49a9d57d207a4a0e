"""LAPGAN (Denton et al. 2015): a fully connected GAN of small images, and convolutional ones that refine them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from deepgen_fast.models.dcgan import initialise
from deepgen_fast.models.fully_connected_gan import fully_connected_gan
from deepgen_fast.models.gan import Prior
from deepgen_fast.models.laplacian_gan import LAPGAN, image_shape_of
from deepgen_fast.nn import DiscriminatorBlock
from deepgen_fast.ops.memory_format import in_format


class BandGenerator(nn.Sequential):
    """G_k: convolutions over the blurred image and, as one more plane, the noise."""

    def forward(self, latent: tuple[Tensor, Tensor]) -> Tensor:
        """h_k ``[B, C, H, W]`` for z_k ``[B, 1, H, W]`` and l_k ``[B, C, H, W]``."""
        z, low = latent
        return super().forward(in_format(torch.cat([low, z], 1), True))


class BandDiscriminator(nn.Sequential):
    """D_k: two convolutions that halve the image, and a product to one logit."""

    def forward(self, image: Tensor) -> Tensor:
        """``[B]`` for h_k + l_k ``[B, C, H, W]``."""
        return super().forward(in_format(image, True)).flatten()


def lapgan(
    event_shape: Sequence[int] = (3, 32, 32),
    levels: int = 3,
    level: str = "all",
    width: int = 32,
    hidden_dim: int = 1200,
    latent_dim: int = 100,
    prior: Prior = "uniform",
) -> LAPGAN:
    """The Laplacian pyramid of adversarial networks of Denton, Chintala, Szlam and Fergus.

    The coarsest level is a fully connected GAN: z -> two ReLU layers -> tanh, and two leaky ReLU layers with dropout ->
    logit. At each finer one G_k has four 3x3 convolutions with batch norm and ReLU, its last linear, and D_k two 4x4
    ones of stride 2 with leaky ReLU, then a product to one logit. Levels share nothing, and in training each is
    conditioned on real blurred images: so all at once, with their losses summed, is the paper's training of each by
    itself. Levels that were trained alone are joined by ``combine``.

    Left out: the class-conditional variant, crops and flips of the training images, and the paper's gradient descent
    with a schedule for its momentum (the trainer has Adam). The paper's kernels are 5x5 and 7x7, and it has no batch
    norm.

    Args:
        event_shape: ``(channels, height, width)``, each side a multiple of 2^(levels - 1); 32 gives 32, 16 and 8, and
            28 gives 28, 14 and 7.
        levels: of the pyramid; the coarsest images should be some 8 pixels large.
        level: which to train: all, or one by its number, 0 being the finest; the model then has that level alone.
        width: channels of the generators of the finer levels; discriminators have as many, then twice as many.
        hidden_dim: units of the coarsest generator; its discriminator has half as many.
        latent_dim: size of the coarsest level's z.
        prior: of all z: uniform between -1 and 1, or normal.

    Raises:
        ValueError: naming the argument that is not one of the above.

    Source: Denton, Chintala, Szlam, Fergus, "Deep generative image models using a Laplacian pyramid of adversarial
    networks", 2015.
    """
    if levels < 2:
        raise ValueError(f"levels: expected at least 2, got {levels}")
    shape = image_shape_of(event_shape, levels)
    for name, value, least in (("width", width, 1), ("hidden_dim", hidden_dim, 2)):
        if value < least:
            raise ValueError(f"{name}: expected at least {least}, got {value}")
    if level != "all" and level not in map(str, range(levels)):
        raise ValueError(f"level: expected 'all' or a number from 0 to {levels - 1}, got {level!r}")
    if min(shape[1:]) >> (levels - 2) < 4:
        raise ValueError(f"levels: {levels} leave less than 2 pixels of an image of {shape[1]} x {shape[2]}")
    generators: dict[int, nn.Module] = {}
    discriminators: dict[int, nn.Module] = {}
    for number in range(levels) if level == "all" else [int(level)]:
        size = shape[1] >> number, shape[2] >> number
        if number == levels - 1:
            coarse = fully_connected_gan(
                (shape[0], *size), hidden_dim, latent_dim, output="tanh", discriminator="leaky_relu",
                units=hidden_dim // 2,
            )  # fmt: skip
            generators[number], discriminators[number] = coarse.generator, coarse.discriminator
        else:
            generators[number] = _band_generator(shape[0], width)
            discriminators[number] = _band_discriminator(shape[0], width, size)
    return LAPGAN(generators, discriminators, event_shape=shape, levels=levels, latent_dim=latent_dim, prior=prior)


def _band_generator(channels: int, width: int) -> BandGenerator:
    network = BandGenerator(
        DiscriminatorBlock(channels + 1, width, 3, 1, 1, activation="relu"),
        DiscriminatorBlock(width, width, 3, 1, 1, activation="relu"),
        DiscriminatorBlock(width, width, 3, 1, 1, activation="relu"),
        DiscriminatorBlock(width, channels, 3, 1, 1, norm=False, activation=None),
    )
    initialise(network)
    return network


def _band_discriminator(channels: int, width: int, size: tuple[int, int]) -> BandDiscriminator:
    network = BandDiscriminator(
        DiscriminatorBlock(channels, width, norm=False, bias=False),
        DiscriminatorBlock(width, 2 * width),
        DiscriminatorBlock(2 * width, 1, (size[0] // 4, size[1] // 4), 1, 0, norm=False, bias=False, activation=None),
    )
    initialise(network)
    return network

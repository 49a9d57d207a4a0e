"""LAPGAN (Denton et al. 2015): a GAN of small images, and conditional ones that refine them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from deepgen_fast.models.dcgan_networks import DCGANDiscriminator, DCGANGenerator, initialize
from deepgen_fast.models.gan import Prior
from deepgen_fast.models.laplacian_gan import LAPGAN, image_shape_of
from deepgen_fast.nn import DiscriminatorBlock, GeneratorBlock
from deepgen_fast.ops.memory_format import in_format


class BandGenerator(nn.Sequential):
    """G_k: convolutions over the blurred image and, as one more plane, the noise."""

    def forward(self, latent: tuple[Tensor, Tensor]) -> Tensor:
        """h_k ``[B, C, H, W]`` for z_k ``[B, 1, H, W]`` and l_k ``[B, C, H, W]``."""
        z, low = latent
        return super().forward(in_format(torch.cat([low, z], 1), True))


def lapgan(
    event_shape: Sequence[int] = (3, 32, 32),
    levels: int = 3,
    level: str = "all",
    width: int = 32,
    latent_dim: int = 100,
    prior: Prior = "uniform",
) -> LAPGAN:
    """The Laplacian pyramid of adversarial networks of Denton, Chintala, Szlam and Fergus.

    G_k of the finer levels is three 3x3 convolutions over l_k and a plane of noise, with batch norm, the last one
    linear; D_k, of h_k + l_k, two 4x4 convolutions of stride 2 and a product to one logit, without: batch norm would
    hide a shift of all pixels from it. The coarsest level is an ordinary GAN: a product to images of its size, then two
    3x3 convolutions and tanh; its discriminator's first convolution is 3x3 and leaves the size, its second has batch
    norm. Activations and initial weights are as in ``dcgan``. Levels share nothing, and in training each is conditioned
    on real blurred images: all at once, with their losses summed, is the paper's training of each by itself. Levels
    that were trained alone are joined by ``laplacian_gan.combine``.

    Left out: the class-conditional variant, crops and flips of the training images, and the paper's gradient descent
    with a schedule for its momentum (the trainer has Adam). The paper has larger kernels, no batch norm, and a fully
    connected GAN at the coarsest level, which on 8x8 digits lost most classes.

    Args:
        event_shape: ``(channels, height, width)``, each side a multiple of 2^(levels - 1); 32 gives 32, 16 and 8, and
            28 gives 28, 14 and 7.
        levels: number of pyramid levels; the coarsest images should be some 8 pixels large.
        level: which to train: all, or one by its number, 0 being the finest; the model then has that level alone.
        width: channels of the generators of the finer levels, and of their discriminators' first layer; at the coarsest
            level everything is twice as wide.
        latent_dim: size of the coarsest level's z.
        prior: prior of all z: uniform between -1 and 1, or normal.

    Raises:
        ValueError: naming the argument that is not one of the above.

    Source: Denton, Chintala, Szlam, Fergus, "Deep generative image models using a Laplacian pyramid of adversarial
    networks", 2015.
    """
    if levels < 2:
        raise ValueError(f"levels: expected at least 2, got {levels}")
    shape = image_shape_of(event_shape, levels)
    for name, value in (("width", width), ("latent_dim", latent_dim)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    if level != "all" and level not in map(str, range(levels)):
        raise ValueError(f"level: expected 'all' or a number from 0 to {levels - 1}, got {level!r}")
    if min(shape[1:]) >> (levels - 2) < 4:
        raise ValueError(f"levels: {levels} leave less than 2 pixels of an image of {shape[1]} x {shape[2]}")
    generators: dict[int, nn.Module] = {}
    discriminators: dict[int, nn.Module] = {}
    for number in range(levels) if level == "all" else [int(level)]:
        image = (shape[0], shape[1] >> number, shape[2] >> number)
        coarsest = number == levels - 1
        generators[number] = _coarse_generator(image, width, latent_dim) if coarsest else _band_generator(image, width)
        discriminators[number] = _discriminator(image, width, coarsest)
    for network in (*generators.values(), *discriminators.values()):
        initialize(network)
    return LAPGAN(generators, discriminators, event_shape=shape, levels=levels, latent_dim=latent_dim, prior=prior)


def _coarse_generator(image: tuple[int, int, int], width: int, latent_dim: int) -> DCGANGenerator:
    channels, *size = image
    return DCGANGenerator(
        GeneratorBlock(latent_dim, 4 * width, (size[0], size[1]), 1, 0),
        DiscriminatorBlock(4 * width, 2 * width, 3, 1, 1, activation="relu"),
        DiscriminatorBlock(2 * width, channels, 3, 1, 1, norm=False, activation="tanh"),
    )


def _band_generator(image: tuple[int, int, int], width: int) -> BandGenerator:
    return BandGenerator(
        DiscriminatorBlock(image[0] + 1, width, 3, 1, 1, activation="relu"),
        DiscriminatorBlock(width, width, 3, 1, 1, activation="relu"),
        DiscriminatorBlock(width, image[0], 3, 1, 1, norm=False, activation=None),
    )


def _discriminator(image: tuple[int, int, int], width: int, coarsest: bool) -> DCGANDiscriminator:
    channels, height, width_of_image = image
    if coarsest:  # so small that the first layer leaves its size
        return DCGANDiscriminator(
            DiscriminatorBlock(channels, 2 * width, 3, 1, 1, norm=False),
            DiscriminatorBlock(2 * width, 4 * width),
            _logit(4 * width, height // 2, width_of_image // 2),
        )
    # Batch norm would take the batch's mean away: a shift of all pixels, which nothing bounds here, would go unseen.
    return DCGANDiscriminator(
        DiscriminatorBlock(channels, width, norm=False, bias=False),
        DiscriminatorBlock(width, 2 * width, norm=False),
        _logit(2 * width, height // 4, width_of_image // 4),
    )


def _logit(inputs: int, height: int, width: int) -> DiscriminatorBlock:
    return DiscriminatorBlock(inputs, 1, (height, width), 1, 0, norm=False, bias=False, activation=None)

"""DCGAN (Figure 13.8): transposed convolutions up, strided convolutions down, batch norm, no pooling."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from deepgen_fast.models.gan import GAN, Prior
from deepgen_fast.models.likelihoods import check_event_shape
from deepgen_fast.nn import DiscriminatorBlock, GeneratorBlock
from deepgen_fast.ops.memory_format import in_format

_WEIGHT_STD = 0.02
_LEAST_BASE = 4  # pixels along a side of the first images, at least; less than twice as many


class DCGANGenerator(nn.Sequential):
    """z as a 1x1 image, a product to the first images, then blocks that double them; the last ends in tanh."""

    def forward(self, z: Tensor) -> Tensor:
        """``[B, C, H, W]`` in [-1, 1] for ``z [B, latent_dim]``."""
        # Channels-last from here on: no layer rearranges what the one before wrote.
        return super().forward(in_format(z.unflatten(1, (-1, 1, 1)), True))


class DCGANDiscriminator(nn.Sequential):
    """Blocks that halve the image, then a product to one logit, or several."""

    def forward(self, x: Tensor) -> Tensor:
        """``[B]`` for ``x [B, C, H, W]`` in [-1, 1]; ``[B, outputs]`` of several."""
        outputs = super().forward(in_format(x, True)).flatten(1)
        return outputs.squeeze(1) if outputs.shape[1] == 1 else outputs


class DCGANFeatures(nn.Sequential):
    """The blocks of a discriminator that halve the image, without the last: what several heads may share."""

    def forward(self, x: Tensor) -> Tensor:
        """``[B, channels, base, base]`` for ``x [B, C, H, W]`` in [-1, 1]."""
        return super().forward(in_format(x, True))


def levels_of(size: int) -> tuple[int, int]:
    """(pixels of the first images, doublings) of images of ``size`` pixels along a side: 64 is 4 doubled 4 times.

    Raises:
        ValueError: when doubling 4, 5, 6 or 7 does not give it.
    """
    base, levels = size, 0
    while base % 2 == 0 and base >= 2 * _LEAST_BASE:
        base, levels = base // 2, levels + 1
    if levels == 0 or not _LEAST_BASE <= base < 2 * _LEAST_BASE:
        raise ValueError(
            f"event_shape: expected a side that is 4, 5, 6 or 7 times a power of two, such as 28, 32, 64, 96, 128; "
            f"got {size}"
        )
    return base, levels


def dcgan(
    event_shape: Sequence[int] = (3, 64, 64),
    width: int = 64,
    latent_dim: int = 100,
    prior: Prior = "uniform",
    discriminator_norm: Literal["batch", "none"] = "batch",
) -> GAN:
    """The deep convolutional GAN of Radford, Metz and Chintala, for square images.

    Generator: z -> 4x4 images of ``width * 2^(n-1)`` channels -> n doublings by 4x4 transposed convolutions of stride
    2, each halving the channels -> the image; batch norm and ReLU, tanh at the end. Discriminator: its mirror image
    with leaky ReLU 0.2, without batch norm at the image and at the logit. At 64 pixels and width 128 it is Figure 13.8:
    100 -> 4x4x1024 -> 8x8x512 -> 16x16x256 -> 32x32x128 -> 64x64x3. Weights are drawn from N(0, 0.02^2), the scales of
    batch norms from N(1, 0.02^2).

    Args:
        event_shape: ``(channels, side, side)``; the side is 4, 5, 6 or 7 times a power of two, such as 32, 64 or 128;
            28 works too, from 7x7 images.
        width: channels at half the image's size; 128 in the paper, 64 in most code.
        latent_dim: size of z.
        prior: of z: uniform between -1 and 1, as in the paper, or normal.
        discriminator_norm: batch, or none, which a gradient penalty wants.

    Raises:
        ValueError: naming the argument that is not one of the above.

    Source: Radford, Metz, Chintala, "Unsupervised representation learning with deep convolutional generative
    adversarial networks", 2016. Its code has 5x5 kernels; 4x4 ones, as here, are what has become usual.
    """
    shape = check_sizes(event_shape, width=width, latent_dim=latent_dim)
    if discriminator_norm not in ("batch", "none"):
        raise ValueError(f"discriminator_norm: expected 'batch' or 'none', got {discriminator_norm!r}")
    model = GAN(
        DCGANGenerator(*doubling_blocks(latent_dim, shape, width)),
        DCGANDiscriminator(*halving_blocks(shape, width, norm=discriminator_norm == "batch")),
        event_shape=shape,
        latent_dim=latent_dim,
        prior=prior,
    )
    initialise(model)
    return model


def check_sizes(event_shape: Sequence[int], **sizes: int) -> tuple[int, int, int]:
    """The shape of a square image, checked as are the other sizes.

    Raises:
        ValueError: naming what is not ``(channels, side, side)`` or below 1.
    """
    shape = check_event_shape(event_shape)
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ValueError(f"event_shape: expected (channels, side, side), got {shape}")
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    return shape[0], shape[1], shape[2]


def doubling_blocks(inputs: int, shape: tuple[int, int, int], width: int) -> list[nn.Module]:
    """A DCGAN's generator from ``inputs`` numbers to images of ``shape``, block by block."""
    base, levels = levels_of(shape[1])
    widths = [width * 2**level for level in reversed(range(levels))]
    first = GeneratorBlock(inputs, widths[0], base, 1, 0)
    last = GeneratorBlock(widths[-1], shape[0], norm=False, bias=False, activation="tanh")
    return [first, *(GeneratorBlock(*pair) for pair in pairwise(widths)), last]


def halving_blocks(
    shape: tuple[int, int, int], width: int, *, norm: bool = True, outputs: int | None = 1
) -> list[nn.Module]:
    """A DCGAN's discriminator from images of ``shape`` to ``outputs`` numbers, block by block.

    Args:
        shape, width: as of the generator.
        norm: whether the inner blocks have a batch norm.
        outputs: numbers an image; None leaves the last block out: images of ``width * 2^(n-1)`` channels remain.
    """
    base, levels = levels_of(shape[1])
    widths = [width * 2**level for level in range(levels)]
    blocks: list[nn.Module] = [DiscriminatorBlock(shape[0], widths[0], norm=False, bias=False)]
    blocks += [DiscriminatorBlock(*pair, norm=norm) for pair in pairwise(widths)]
    if outputs is not None:
        blocks.append(DiscriminatorBlock(widths[-1], outputs, base, 1, 0, norm=False, bias=False, activation=None))
    return blocks


@torch.no_grad()
def initialise(model: nn.Module) -> None:
    """Weights of convolutions from N(0, 0.02^2), scales of batch norms from N(1, 0.02^2), no shifts."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.weight.normal_(0.0, _WEIGHT_STD)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.weight.normal_(1.0, _WEIGHT_STD)
        bias = getattr(layer, "bias", None)
        if isinstance(bias, Tensor):
            bias.zero_()

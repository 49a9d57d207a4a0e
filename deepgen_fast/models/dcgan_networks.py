"""The networks of a DCGAN, block by block: what several systems are made of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from deepgen_fast.models.likelihoods import check_event_shape
from deepgen_fast.nn import DiscriminatorBlock, GeneratorBlock, MinibatchDiscrimination, VirtualBatchNorm2d
from deepgen_fast.ops.memory_format import in_format

Norm = Literal["batch", "virtual_batch"]

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


def doubling_blocks(inputs: int, shape: tuple[int, int, int], width: int, *, norm: Norm = "batch") -> list[nn.Module]:
    """A DCGAN's generator from ``inputs`` numbers to images of ``shape``, block by block."""
    base, levels = levels_of(shape[1])
    widths = [width * 2**level for level in reversed(range(levels))]
    first = _block(GeneratorBlock, inputs, widths[0], base, 1, 0, norm=norm)
    last = GeneratorBlock(widths[-1], shape[0], norm=False, bias=False, activation="tanh")
    return [first, *(_block(GeneratorBlock, *pair, norm=norm) for pair in pairwise(widths)), last]


def halving_blocks(
    shape: tuple[int, int, int], width: int, *, norm: str = "batch", outputs: int | None = 1
) -> list[nn.Module]:
    """A DCGAN's discriminator from images of ``shape`` to ``outputs`` numbers, block by block.

    Args:
        shape, width: as of the generator.
        norm: normalization of the inner blocks: batch, virtual_batch or none.
        outputs: numbers an image; None leaves the last block out: images of ``width * 2^(n-1)`` channels remain.
    """
    widths = [width * 2**level for level in range(levels_of(shape[1])[1])]
    blocks: list[nn.Module] = [DiscriminatorBlock(shape[0], widths[0], norm=False, bias=False)]
    blocks += [_block(DiscriminatorBlock, *pair, norm=norm) for pair in pairwise(widths)]
    return blocks if outputs is None else [*blocks, last_block(shape, width, outputs)]


def last_block(shape: tuple[int, int, int], width: int, outputs: int = 1) -> nn.Module:
    """What makes ``outputs`` numbers of the images that a discriminator's other blocks leave."""
    base, levels = levels_of(shape[1])
    return DiscriminatorBlock(width * 2 ** (levels - 1), outputs, base, 1, 0, norm=False, bias=False, activation=None)


def minibatch_head(shape: tuple[int, int, int], width: int, kernels: int, kernel_dim: int) -> list[nn.Module]:
    """In its place, one that sees how close the examples of the batch are."""
    base, levels = levels_of(shape[1])
    features = width * 2 ** (levels - 1) * base * base
    return [nn.Flatten(), MinibatchDiscrimination(features, kernels, kernel_dim), nn.Linear(features + kernels, 1)]


def _block(kind: type[GeneratorBlock | DiscriminatorBlock], *sizes: int, norm: str) -> nn.Module:
    if norm != "virtual_batch":
        return kind(*sizes, norm=norm == "batch")
    plain = kind(*sizes, norm=False, bias=False, activation=None)
    activation = nn.ReLU(inplace=True) if kind is GeneratorBlock else nn.LeakyReLU(0.2, inplace=True)
    return nn.Sequential(plain, VirtualBatchNorm2d(sizes[1]), activation)


@torch.no_grad()
def initialize(model: nn.Module) -> None:
    """Weights of convolutions from N(0, 0.02^2), scales of batch norms from N(1, 0.02^2), no shifts."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.weight.normal_(0.0, _WEIGHT_STD)
        elif isinstance(layer, nn.BatchNorm2d | VirtualBatchNorm2d) and layer.weight is not None:
            layer.weight.normal_(1.0, _WEIGHT_STD)
        bias = getattr(layer, "bias", None)
        if isinstance(bias, Tensor):
            bias.zero_()

"""DCGAN (Figure 13.8): transposed convolutions up, strided convolutions down, batch norm, no pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from torch import nn

from deepgen_fast.models.dcgan_networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    Norm,
    check_sizes,
    doubling_blocks,
    halving_blocks,
    initialize,
    last_block,
    minibatch_head,
)
from deepgen_fast.models.gan import GAN, Prior
from deepgen_fast.nn import ReferenceBatch


def dcgan(
    event_shape: Sequence[int] = (3, 64, 64),
    width: int = 64,
    latent_dim: int = 100,
    prior: Prior = "uniform",
    norm: Norm = "batch",
    discriminator_norm: Literal["batch", "virtual_batch", "none"] = "batch",
    reference_size: int = 64,
    minibatch_kernels: int = 0,
    minibatch_kernel_dim: int = 5,
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
        latent_dim: dimension of the latent z.
        prior: prior of z: uniform between -1 and 1, as in the paper, or normal.
        norm: normalization of the generator: batch, or virtual_batch (Salimans et al. 2016, who use it here alone),
            beside a batch of z that is drawn once.
        discriminator_norm: batch, virtual_batch beside a batch of real examples that is chosen once, or none, which a
            gradient penalty wants.
        reference_size: examples in the reference batch of a virtual batch norm.
        minibatch_kernels: kernels by which the discriminator's last layer sees how close the examples of a batch are;
            0 for none. See ``deepgen_fast.nn.MinibatchDiscrimination``.
        minibatch_kernel_dim: dimensions of each.

    Raises:
        ValueError: naming the argument that is not one of the above.

    Source: Radford, Metz, Chintala, "Unsupervised representation learning with deep convolutional generative
    adversarial networks", 2016. Its code has 5x5 kernels; 4x4 ones, as here, are what has become usual.
    """
    shape = check_sizes(event_shape, width=width, latent_dim=latent_dim)
    if norm not in ("batch", "virtual_batch"):
        raise ValueError(f"norm: expected 'batch' or 'virtual_batch', got {norm!r}")
    if discriminator_norm not in ("batch", "virtual_batch", "none"):
        raise ValueError(f"discriminator_norm: expected 'batch', 'virtual_batch' or 'none', got {discriminator_norm!r}")
    if minibatch_kernels < 0:
        raise ValueError(f"minibatch_kernels: expected at least 0, got {minibatch_kernels}")
    blocks = halving_blocks(shape, width, norm=discriminator_norm, outputs=None)
    head = minibatch_head(shape, width, minibatch_kernels, minibatch_kernel_dim) if minibatch_kernels else None
    generator: nn.Module = DCGANGenerator(*doubling_blocks(latent_dim, shape, width, norm=norm))
    discriminator: nn.Module = DCGANDiscriminator(*blocks, *(head or [last_block(shape, width)]))
    feature_layer = str(len(blocks) - 1)
    if norm == "virtual_batch":
        generator = ReferenceBatch(generator, (reference_size, latent_dim))
    if discriminator_norm == "virtual_batch":
        discriminator, feature_layer = (
            ReferenceBatch(discriminator, (reference_size, *shape)),
            f"network.{feature_layer}",
        )
    sizes: dict[str, Any] = {"event_shape": shape, "latent_dim": latent_dim}
    model = GAN(generator, discriminator, **sizes, prior=prior, feature_layer=feature_layer)
    initialize(model)
    if isinstance(model.generator, ReferenceBatch):
        model.generator.set(model.draw_latent(reference_size))
    return model

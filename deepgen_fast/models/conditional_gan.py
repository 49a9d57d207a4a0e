"""The conditional GAN: a generator and a discriminator that are both told the class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepgen_fast.models.dcgan_networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    check_sizes,
    doubling_blocks,
    halving_blocks,
    initialize,
)
from deepgen_fast.models.fully_connected_gan import DISCRIMINATOR_RANGE, GENERATOR_RANGE, Maxout, initialize_uniformly
from deepgen_fast.models.gan import GAN, Prior, dtype_of, upcast
from deepgen_fast.models.labels import Labels, as_labels, labels_in_turn
from deepgen_fast.models.likelihoods import check_event_shape
from deepgen_fast.random import BatchNoise

# The paper's MNIST model, figure 1 and section 4.1.
_GENERATOR_UNITS = {"z": 200, "y": 1000, "joint": 1200}
_DISCRIMINATOR_UNITS = {"x": (240, 5), "y": (50, 5), "joint": (240, 4)}  # units, pieces
_DROPOUT = 0.5


class ConditionalGAN(GAN):
    """G(z, y) against D(x, y): x given the class y, implicitly.

    A latent is the pair of z and labels, int64 ``[B]``; an example the pair of x and its labels, which G hands on.

    Args:
        generator: maps z ``[B, latent_dim]`` and labels ``[B]`` to ``[B, *event_shape]``.
        discriminator: maps ``[B, *event_shape]`` and labels ``[B]`` to one logit an example.
        num_classes: number of classes K; labels are 0 to K - 1.
        options: of ``GAN``.

    Raises:
        ValueError: fewer than one class, or as ``GAN``.

    Source: Mirza, Osindero, "Conditional generative adversarial nets", 2014, equation 2:
    min_G max_D E[log D(x|y)] + E[log(1 - D(G(z|y)))].
    """

    num_classes: int

    def __init__(self, generator: nn.Module, discriminator: nn.Module, *, num_classes: int, **options: Any) -> None:
        super().__init__(generator, discriminator, **options)
        if num_classes < 1:
            raise ValueError(f"num_classes: expected at least 1, got {num_classes}")
        self.num_classes = num_classes
        self.num_conditions = num_classes

    def draw_latent(self, count: int, noise: BatchNoise | None = None, real: Any = None) -> Any:
        """z, and the labels of the real examples beside which the generated ones will stand, so that D cannot tell
        them apart by how often a class comes; without any, 0, 1, ..., K - 1, 0, 1, ..."""
        z = super().draw_latent(count, noise)
        return z, labels_in_turn(count, self.num_classes, z.device) if real is None else real[1]

    def generate(self, latent: Any) -> Any:
        """What G makes of ``(z, labels)``, with the labels."""
        z, labels = latent
        return self.generator(z.to(dtype_of(self.generator)), labels), labels

    def discriminate(self, example: Any) -> Tensor:
        """One logit an example ``(x, labels)``, ``[B]`` in float32 (float64 of float64 networks)."""
        x, labels = example
        return upcast(self.discriminator(x.to(dtype_of(self.discriminator)), labels).flatten())

    def condition(self, latent: Any, labels: Labels) -> Any:
        """As ``GAN.condition``."""
        z, _ = latent
        return z, as_labels(labels, len(z), self.num_classes).to(z.device)


class LabelBesideNoise(nn.Module):
    """A generator of z alone, given the label as K more numbers of it, one of them 1: its first layer, a linear map,
    then has an embedding of each class."""

    def __init__(self, network: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.network = network
        self.num_classes = num_classes

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return self.network(torch.cat([z, F.one_hot(labels, self.num_classes).to(z.dtype)], 1))


class LabelPlane(nn.Module):
    """A discriminator of images alone, given the label as one more channel, a learned image for each class."""

    def __init__(self, network: nn.Module, num_classes: int, side: int) -> None:
        super().__init__()
        self.network = network
        self.planes = nn.Embedding(num_classes, side * side)
        self.side = side

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        plane = self.planes(labels).view(-1, 1, self.side, self.side)
        return self.network(torch.cat([x, plane.to(x.dtype)], 1))


class JointLayers(nn.Module):
    """Two inputs, the second a label, each through a layer of its own, then layers of both."""

    def __init__(self, first: nn.Module, second: nn.Module, joint: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.first, self.second, self.joint = first, second, joint
        self.num_classes = num_classes

    def forward(self, first: Tensor, labels: Tensor) -> Tensor:
        one_hot = F.one_hot(labels, self.num_classes).to(first.dtype)
        return self.joint(torch.cat([self.first(first), self.second(one_hot)], 1))


def conditional_gan(
    event_shape: Sequence[int] = (1, 28, 28),
    num_classes: int = 10,
    network: Literal["convolutional", "fully_connected"] = "convolutional",
    width: int = 32,
    latent_dim: int = 100,
    prior: Prior = "uniform",
) -> ConditionalGAN:
    """G(z, y) and D(x, y) of Mirza and Osindero.

    Convolutional: the networks of ``dcgan``; the label stands beside z as K numbers, and beside x as one more channel,
    a learned image for each class. Fully connected: the paper's MNIST model; z and y go through 200 and 1000 ReLU units
    to 1200 of both and a sigmoid; x and y through 240 and 50 maxout units of five pieces to 240 of four pieces and a
    logit; dropout of a half on all hidden layers. Left out: plain gradient descent with a schedule for its momentum
    (the trainer has Adam), and the tags of section 4.2.

    Args:
        event_shape: ``(channels, side, side)``, the side 4, 5, 6 or 7 times a power of two; any, fully_connected.
        num_classes: number of classes K; labels are 0 to K - 1.
        network: architecture of generator and discriminator: convolutional or fully_connected.
        width: channels at half the image's size, convolutional.
        latent_dim: dimension of the latent z.
        prior: prior of z: uniform between -1 and 1, or normal.

    Raises:
        ValueError: naming the argument that is not one of the above.
    """
    for name, value in (("num_classes", num_classes), ("latent_dim", latent_dim)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    options: dict[str, Any] = {"num_classes": num_classes, "latent_dim": latent_dim, "prior": prior}
    if network == "fully_connected":
        shape = check_event_shape(event_shape)
        players = _fully_connected(shape, num_classes, latent_dim)
        return ConditionalGAN(*players, event_shape=shape, output="sigmoid", **options)
    if network != "convolutional":
        raise ValueError(f"network: expected 'convolutional' or 'fully_connected', got {network!r}")
    channels, side, _ = shape = check_sizes(event_shape, width=width)
    generator = DCGANGenerator(*doubling_blocks(latent_dim + num_classes, shape, width))
    discriminator = DCGANDiscriminator(*halving_blocks((channels + 1, side, side), width))
    players = LabelBesideNoise(generator, num_classes), LabelPlane(discriminator, num_classes, side)
    model = ConditionalGAN(*players, event_shape=shape, **options)
    initialize(model)
    return model


def _fully_connected(shape: tuple[int, ...], num_classes: int, latent_dim: int) -> tuple[nn.Module, nn.Module]:
    size = math.prod(shape)

    def rectified(inputs: int, units: int) -> nn.Sequential:
        return nn.Sequential(nn.Linear(inputs, units), nn.ReLU(inplace=True), nn.Dropout(_DROPOUT))

    def maxout(inputs: int, units: int, pieces: int) -> nn.Sequential:
        return nn.Sequential(Maxout(inputs, units, pieces), nn.Dropout(_DROPOUT))

    units = _GENERATOR_UNITS
    last = nn.Sequential(nn.Linear(units["joint"], size), nn.Sigmoid(), nn.Unflatten(1, shape))
    joint = nn.Sequential(rectified(units["z"] + units["y"], units["joint"]), last)
    generator = JointLayers(rectified(latent_dim, units["z"]), rectified(num_classes, units["y"]), joint, num_classes)
    initialize_uniformly(generator, GENERATOR_RANGE)

    (x, _), (y, _), (both, _) = _DISCRIMINATOR_UNITS.values()
    judging = nn.Sequential(maxout(x + y, *_DISCRIMINATOR_UNITS["joint"]), nn.Linear(both, 1))
    seeing = nn.Sequential(nn.Flatten(), maxout(size, *_DISCRIMINATOR_UNITS["x"]))
    discriminator = JointLayers(seeing, maxout(num_classes, *_DISCRIMINATOR_UNITS["y"]), judging, num_classes)
    initialize_uniformly(discriminator, DISCRIMINATOR_RANGE)
    return generator, discriminator

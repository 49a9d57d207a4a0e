"""The fully connected GAN of Goodfellow et al., "Generative adversarial nets", 2014."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from deepgen_fast.models.gan import GAN, Output, Prior
from deepgen_fast.models.likelihoods import check_event_shape
from deepgen_fast.nn import MinibatchDiscrimination

# The paper's code draws weights from U(-r, r).
GENERATOR_RANGE, DISCRIMINATOR_RANGE = 0.05, 0.005
_INPUT_DROPOUT_SHARE = 0.4  # of the hidden layers' dropout: 0.2 beside 0.5


class Maxout(nn.Module):
    """The largest of ``pieces`` linear maps for each unit (Goodfellow et al. 2013)."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces
        self.linear = nn.Linear(inputs, units * pieces)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, units]`` for ``x [B, inputs]``."""
        return self.linear(x).unflatten(1, (-1, self.pieces)).amax(2)


def fully_connected_gan(
    event_shape: Sequence[int] = (1, 28, 28),
    hidden_dim: int = 1200,
    latent_dim: int = 100,
    prior: Prior = "uniform",
    output: Output = "sigmoid",
    discriminator: Literal["maxout", "leaky_relu"] = "maxout",
    units: int = 240,
    pieces: int = 5,
    dropout: float = 0.5,
    minibatch_kernels: int = 0,
    minibatch_kernel_dim: int = 5,
) -> GAN:
    """z -> two ReLU layers -> x, and x -> two hidden layers with dropout -> logit.

    The defaults are the paper's MNIST model, as its published code has it: 100-1200-1200-784 with a sigmoid, against
    784-240-240-1 of maxout units with five pieces each, weights from U(-0.05, 0.05) and U(-0.005, 0.005). Left out:
    plain gradient descent with a schedule for its momentum (the trainer has Adam), and output biases from the data's
    marginals.

    Args:
        event_shape: of an example; examples are flattened.
        hidden_dim: ReLU units of each hidden layer of the generator.
        latent_dim: dimension of the latent z.
        prior: prior of z: uniform between -1 and 1, or normal.
        output: the generator's last layer: sigmoid or tanh for data in [0, 1], linear for any values.
        discriminator: its hidden layers: maxout, or linear maps and leaky_relu, with PyTorch's initial weights in both
            networks, which suits small problems.
        units: width of each hidden layer of the discriminator.
        pieces: linear maps behind each maxout unit.
        dropout: dropout of the discriminator's hidden layers; its input's is 0.4 times as much.
        minibatch_kernels: kernels by which the discriminator's last layer sees how close the examples of a batch are;
            0 for none. See ``deepgen_fast.nn.MinibatchDiscrimination``.
        minibatch_kernel_dim: dimensions of each.

    Raises:
        ValueError: naming the argument that is not one of the above.
    """
    shape = check_event_shape(event_shape)
    sizes = {"hidden_dim": hidden_dim, "latent_dim": latent_dim, "units": units, "pieces": pieces}
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"dropout: expected a number in [0, 1), got {dropout}")
    if discriminator not in ("maxout", "leaky_relu"):
        raise ValueError(f"discriminator: expected 'maxout' or 'leaky_relu', got {discriminator!r}")
    if minibatch_kernels < 0:
        raise ValueError(f"minibatch_kernels: expected at least 0, got {minibatch_kernels}")
    size = math.prod(shape)
    last: dict[str, list[nn.Module]] = {"sigmoid": [nn.Sigmoid()], "tanh": [nn.Tanh()], "linear": []}
    generating = nn.Sequential(
        nn.Linear(latent_dim, hidden_dim),
        nn.ReLU(inplace=True),
        nn.Linear(hidden_dim, hidden_dim),
        nn.ReLU(inplace=True),
        nn.Linear(hidden_dim, size),
        *last.get(output, []),  # an unknown one is GAN's to refuse
        nn.Unflatten(1, shape),
    )

    def hidden(inputs: int) -> list[nn.Module]:
        if discriminator == "maxout":
            return [Maxout(inputs, units, pieces)]
        return [nn.Linear(inputs, units), nn.LeakyReLU(0.2, inplace=True)]

    def dropped(share: float) -> list[nn.Module]:
        return [nn.Dropout(dropout * share)] if dropout else []

    trunk = [nn.Flatten(), *dropped(_INPUT_DROPOUT_SHARE), *hidden(size), *dropped(1.0), *hidden(units)]
    closeness = [MinibatchDiscrimination(units, minibatch_kernels, minibatch_kernel_dim)] if minibatch_kernels else []
    judging = nn.Sequential(*trunk, *dropped(1.0), *closeness, nn.Linear(units + minibatch_kernels, 1))
    if discriminator == "maxout":
        initialize_uniformly(generating, GENERATOR_RANGE)
        initialize_uniformly(judging, DISCRIMINATOR_RANGE)
    shapes: dict[str, Any] = {"event_shape": shape, "latent_dim": latent_dim}
    return GAN(generating, judging, **shapes, prior=prior, output=output, feature_layer=str(len(trunk) - 1))


@torch.no_grad()
def initialize_uniformly(network: nn.Module, limit: float) -> None:
    """Weights of linear maps from U(-limit, limit), no shifts."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            layer.weight.uniform_(-limit, limit)
            layer.bias.zero_()

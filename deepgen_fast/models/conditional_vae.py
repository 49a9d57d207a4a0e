"""The conditional VAE: p(x|z, y) and q(z|x, y), both told the class y."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepgen_fast.example import Example
from deepgen_fast.models.activations import build_activation
from deepgen_fast.models.event_shape import check_pixel_batch
from deepgen_fast.models.labels import Labels, as_labels, labels_in_turn
from deepgen_fast.models.likelihoods import build_likelihood, check_event_shape, decoder_shape
from deepgen_fast.models.posterior import Posterior
from deepgen_fast.models.scale_forms import build_scale_form
from deepgen_fast.models.two_layer_vae import TwoLayerDecoder, TwoLayerEncoder
from deepgen_fast.models.vae import VAE, check_latent
from deepgen_fast.random import BatchNoise

_LABEL_STD = 2.0


class ConditionalVAE(VAE):
    """x given its class y: log p(x|y) >= E_q[log p(x|z, y)] - KL(q(z|x, y) || p(z)).

    An example is the pair of x and labels, int64 ``[B]``; a latent the pair of z and labels. With the classes' shares
    p(y) in the data the model is also a classifier, p(y|x) = p(x|y) p(y) / sum_y p(x|y) p(y) (13.1); see
    ``deepgen_fast.metrics.generative_classification``.

    Args:
        encoder: maps x ``[B, *event_shape]`` and one-hot labels ``[B, K]`` to ``(mean, scale)``.
        decoder: maps z ``[N, latent_dim]`` and one-hot labels ``[N, K]`` to ``[N, *out]``.
        num_classes: number of classes K; labels are 0 to K - 1.
        options: of ``VAE``.

    Raises:
        ValueError: fewer than one class, or as ``VAE``.

    Source: Doersch, "Tutorial on variational autoencoders", 2016, section 3 and equation 17; it has z ~ N(0, I)
    whatever y is, as here.
    """

    takes_labels = True
    num_classes: int

    def __init__(self, encoder: nn.Module, decoder: nn.Module, *, num_classes: int, **options: Any) -> None:
        super().__init__(encoder, decoder, **options)
        if num_classes < 1:
            raise ValueError(f"num_classes: expected at least 1, got {num_classes}")
        self.num_classes = num_classes
        self.num_conditions = num_classes

    def encode(self, x: Example) -> Posterior:
        """q(z|x, y) for ``x``, the pair of ``[B, *event_shape]`` and labels ``[B]``.

        Raises:
            TypeError: when ``x`` is no pair, or its first is not floating point.
            ValueError: when the shape of either is another.
        """
        if isinstance(x, Tensor) or len(x) != 2:
            raise TypeError(f"x: expected a pair of examples and labels, got {type(x).__name__}")
        event, labels = x
        check_pixel_batch(event, self.event_shape)
        mean, scale = self.encoder(event, self._one_hot(labels, event.flatten(1)))
        return Posterior(mean, scale, self.scale)

    def decode(self, z: Any) -> Tensor:
        """Decoder output ``[(M,)B, *out]`` for ``z``, the pair of ``[(M,)B, latent_dim]`` and labels ``[B]``."""
        z, labels = z
        check_latent(z, self.latent_dim)
        y = self._one_hot(labels, z)
        return self.decoder(z.flatten(0, -2), y.flatten(0, -2)).unflatten(0, z.shape[:-1])

    def latent_of(self, z: Tensor, x: Example) -> Any:
        """z and the labels of ``x``."""
        return z, x[1]

    def _one_hot(self, labels: Tensor, like: Tensor) -> Tensor:
        if labels.shape != like.shape[-2:-1]:
            raise ValueError(f"labels: expected one an example, [{like.shape[-2]}], got {list(labels.shape)}")
        return F.one_hot(labels, self.num_classes).to(like.dtype).expand(*like.shape[:-1], -1)

    def draw_latent(self, count: int, noise: BatchNoise | None = None) -> Any:
        """z ~ N(0, I) and labels in turn, 0, 1, ..., K - 1, 0, 1, ..."""
        z = super().draw_latent(count, noise)
        return z, labels_in_turn(count, self.num_classes, z.device)

    def condition(self, latent: Any, labels: Labels) -> Any:
        """The same z with other labels, ``[B]`` or one for all; see ``VAE.condition``."""
        z, _ = latent
        return z, as_labels(labels, len(z), self.num_classes).to(z.device)


class LabelBeside(nn.Module):
    """A network of one input, given the label as K more numbers of it, one of them 1: the weights of its first linear
    layer, ``hidden``, then hold a vector of each class.

    These begin as wide as N(0, ``label_std``^2), so that a class has hidden units of its own from the start. Narrow
    ones, as other weights are drawn, leave the label unheard beside hundreds of pixels: z then learns to carry the
    class first, and the label has nothing left to say.
    """

    def __init__(self, network: TwoLayerEncoder | TwoLayerDecoder, num_classes: int, label_std: float) -> None:
        super().__init__()
        self.network = network
        with torch.no_grad():
            network.hidden.weight[:, -num_classes:].normal_(0.0, label_std)

    def forward(self, first: Tensor, y: Tensor) -> Any:
        return self.network(torch.cat([first.flatten(1), y], 1))


def conditional_vae(
    event_shape: Sequence[int] = (1, 28, 28),
    num_classes: int = 10,
    hidden_dim: int = 512,
    latent_dim: int = 8,
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli",
    variance: Literal["unit", "shared", "per_pixel"] = "unit",
    scale: Literal["logvar", "std", "pre_softplus", "softplus_sigmoid"] = "logvar",
    activation: Literal["relu", "sigmoid", "tanh", "silu", "leaky_relu"] = "relu",
) -> ConditionalVAE:
    """The two-layer VAE with the label, one of K numbers 1, beside x and beside z.

    Its first layers so have a vector of each class to add.

    Args:
        event_shape: shape of one example; anything is flattened.
        num_classes: number of classes K; labels are 0 to K - 1.
        hidden_dim: width of both hidden layers.
        latent_dim: dimension of the latent z. Less than a VAE's without labels, as the label says a part of what it
            needs z for: each further dimension is another in which N(0, I) has places that no example of the class came
            from.
        likelihood: likelihood p(x|z,y).
        variance: variance of the Gaussian likelihood.
        scale: how the encoder states sigma.
        activation: non-linearity.

    Raises:
        ValueError: naming the argument that is not one of the above.
    """
    form, scale_activation = build_scale_form(scale)
    for name, size in (("num_classes", num_classes), ("hidden_dim", hidden_dim), ("latent_dim", latent_dim)):
        if size < 1:
            raise ValueError(f"{name}: expected at least 1, got {size}")
    shape = check_event_shape(event_shape)
    width = math.prod(shape) + num_classes
    model_likelihood = build_likelihood(likelihood, variance, shape)
    output_shape = decoder_shape(model_likelihood, shape)
    encoder = TwoLayerEncoder(width, hidden_dim, latent_dim, build_activation(activation), scale_activation)
    decoder = TwoLayerDecoder(latent_dim + num_classes, hidden_dim, output_shape, build_activation(activation))
    return ConditionalVAE(
        LabelBeside(encoder, num_classes, _LABEL_STD),
        LabelBeside(decoder, num_classes, _LABEL_STD),
        num_classes=num_classes,
        event_shape=shape,
        latent_dim=latent_dim,
        likelihood=model_likelihood,
        scale=form,
    )

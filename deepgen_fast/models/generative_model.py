"""What every model says of itself, and what a trainer and the commands ask of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from deepgen_fast.example import Example
from deepgen_fast.models.previews import Previews
from deepgen_fast.random import BatchNoise


class GenerativeModel(nn.Module):
    """A module with defaults for what a trainer and the commands ask of a model beside its networks. A model need not
    be one: having the attributes is enough; see ``VariationalModel`` and ``AdversarialModel``."""

    #: Shape of one example, such as ``(3, 64, 64)``.
    event_shape: tuple[int, ...]
    #: Dimension of the latent z.
    latent_dim: int
    #: Whether the model is called with pairs of examples and labels.
    takes_labels: bool = False
    #: Number of classes; labels are 0 to ``num_classes - 1``. None where there are none.
    num_classes: int | None = None
    #: Number of classes or codes that samples go through in turn: a grid of samples of as many columns has a column for
    #: each. None where all is drawn at random.
    num_conditions: int | None = None
    #: Prior of z, ``"normal"`` or ``"uniform"``.
    prior: str = "normal"

    @property
    def keep_in_fp32_modules(self) -> tuple[nn.Module, ...] | None:
        """Submodules that stay in float32 where the networks run in less, in a model that is called with examples; None
        in one that casts by itself what its methods are given."""
        return None


class TrainedModel(Protocol):
    """What both trainers and the commands ask of a model, which is an ``nn.Module``; ``GenerativeModel`` has defaults
    for all but the first."""

    @property
    def event_shape(self) -> tuple[int, ...]: ...
    @property
    def takes_labels(self) -> bool: ...
    @property
    def num_classes(self) -> int | None: ...
    @property
    def num_conditions(self) -> int | None: ...
    @property
    def prior(self) -> str: ...
    @property
    def keep_in_fp32_modules(self) -> tuple[nn.Module, ...] | None: ...


class VariationalModel(TrainedModel, Protocol):
    """What ``VAETrainer`` asks of a model, beside what the objective calls: ``ELBO`` calls it as a ``VAE`` is called.

    The commands on a run call ``sample``, ``reconstruct``, ``encode``, ``draw_latent`` and ``decode`` as ``VAE`` has
    them.
    """

    def check_data(self, examples: Tensor, name: str) -> None:
        """Check that ``examples [N, *event_shape]`` can be trained on; raise ``DataError`` when they cannot."""

    def previews(self, generator: torch.Generator, examples: Example | None = None) -> Previews:
        """What a run shows as the model trains: images and their number of columns, or a text, by name."""


class AdversarialModel(TrainedModel, Protocol):
    """What ``GANTrainer`` and the objectives of GANs ask of a model; see ``GAN``, which says what each is."""

    @property
    def conditioned(self) -> bool: ...
    @property
    def feature_layer(self) -> str | None: ...

    def generator_parameters(self) -> list[nn.Parameter]: ...
    def discriminator_parameters(self) -> list[nn.Parameter]: ...
    def generator_state(self) -> Mapping[str, Tensor]: ...
    def from_data(self, x: Any) -> Any: ...
    def to_data(self, example: Any) -> Tensor: ...
    def draw_latent(self, count: int, noise: BatchNoise | None = None, real: Any = None) -> Any: ...
    def sample_latents_like(self, data: Tensor, noise: BatchNoise | None = None) -> Any: ...
    def generate(self, latent: Any) -> Any: ...
    def decode(self, latent: Any) -> Tensor: ...
    def discriminate(self, example: Any) -> Tensor: ...


def check_model(model: object, asked: type[Any]) -> None:
    """Check that a model has all that a protocol asks.

    Raises:
        TypeError: naming what is missing.
    """
    members = {
        name
        for base in asked.__mro__
        if base not in (object, Protocol) and base.__module__ == __name__
        for name in vars(base)
        if not name.startswith("_")
    }
    missing = sorted(name for name in members if not hasattr(model, name))
    if missing:
        article = "an" if asked.__name__[0] in "AEIOU" else "a"
        raise TypeError(
            f"model: expected {article} {asked.__name__}, got a {type(model).__name__} without {', '.join(missing)} "
            "(deepgen_fast.models.GenerativeModel is a base with defaults for what can have some)"
        )
